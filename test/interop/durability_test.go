//go:build interop

package interop

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/smtp"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"
)

func (s *site) tlsConfig() *tls.Config {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(s.ca.PEM))
	return &tls.Config{RootCAs: roots, ServerName: "localhost"}
}

// dial logs in on the port for implicit TLS.
func (s *site) dial(t *testing.T, password string) (*smtp.Client, error) {
	t.Helper()
	conn, err := tls.Dial("tcp", s.smtps, s.tlsConfig())
	if err != nil {
		return nil, err
	}
	client, err := smtp.NewClient(conn, "localhost")
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { client.Close() })
	return client, client.Auth(smtp.PlainAuth("", user, password, "localhost"))
}

func submit(client *smtp.Client, from, subject string) error {
	if err := client.Mail(from); err != nil {
		return err
	}
	if err := client.Rcpt(recipient); err != nil {
		return err
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "From: %s\r\nTo: %s\r\nSubject: %s\r\n\r\nhello\r\n", from, recipient, subject); err != nil {
		return err
	}
	return w.Close()
}

func TestAcceptedMailOutlivesSIGKILLAndAnUpstreamThatIsDown(t *testing.T) {
	t.Parallel()
	const messages = 200
	for _, mode := range []string{"Implicit", "StartTLS"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, mode)
			relay := s.start(t)
			client, err := s.dial(t, s.password)
			if err != nil {
				t.Fatal(err)
			}
			var sent []string
			for i := range messages {
				subject := fmt.Sprintf("message %03d", i)
				if err := submit(client, sender, subject); err != nil {
					t.Fatal(err)
				}
				sent = append(sent, subject)
			}
			relay.kill()
			s.start(t)
			s.upstream.start(t)
			var got []string
			waitFor(t, 90*time.Second, "all messages arrive", func() bool {
				got = s.upstream.subjects(t)
				return len(got) >= messages
			})
			if slices.Sort(got); !slices.Equal(got, sent) {
				t.Errorf("%d messages arrived, %d were accepted", len(got), len(sent))
			}
		})
	}
}

func TestConfigurationIsFollowedWithoutARestart(t *testing.T) {
	t.Parallel()
	s := newSite(t, "Implicit")
	s.upstream.start(t)
	s.start(t)
	open, err := s.dial(t, s.password)
	if err != nil {
		t.Fatal(err)
	}

	before := s.served(t)
	s.renewCertificate(t)
	waitFor(t, 5*time.Second, "the renewed certificate is served", func() bool { return !s.served(t).Equal(before) })

	if err := submit(open, sender, "over a connection from before"); err != nil {
		t.Errorf("the connection from before the new certificate failed: %v", err)
	}

	const newPassword = "a password of the test, changed"
	s.setUser(t, user, newPassword, "example.com")
	waitFor(t, 5*time.Second, "the new password is accepted", func() bool {
		_, err := s.dial(t, newPassword)
		return err == nil
	})
	if _, err := s.dial(t, s.password); code(err) != 535 {
		t.Errorf("the old password: got %v, want 535", err)
	}
	if err := submit(open, sender, "with a password that was taken away"); code(err) != 421 {
		t.Errorf("the connection that logged in with the old password: got %v, want 421", err)
	}
	waitFor(t, 10*time.Second, "the message arrives", func() bool { return len(s.upstream.subjects(t)) == 1 })
}

func (s *site) served(t *testing.T) *x509.Certificate {
	t.Helper()
	conn, err := tls.Dial("tcp", s.smtps, s.tlsConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := newSite(t, "Implicit")
	relay := s.start(t)

	if _, err := s.dial(t, "wrong"); code(err) != 535 || !strings.Contains(err.Error(), "5.7.8") {
		t.Errorf("wrong password: got %v, want 535 5.7.8", err)
	}
	conn, err := tls.Dial("tcp", s.smtps, s.tlsConfig())
	if err != nil {
		t.Fatal(err)
	}
	client, err := smtp.NewClient(conn, "localhost")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Mail(sender); code(err) != 530 || !strings.Contains(err.Error(), "5.7.0") {
		t.Errorf("no AUTH: got %v, want 530 5.7.0", err)
	}
	plain, err := smtp.Dial(s.smtp)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if offered, _ := plain.Extension("AUTH"); offered {
		t.Error("AUTH is offered in the clear")
	}
	if err := plain.Mail(sender); code(err) != 530 {
		t.Errorf("MAIL in the clear: got %v, want 530", err)
	}
	loggedIn, err := s.dial(t, s.password)
	if err != nil {
		t.Fatal(err)
	}
	if err := submit(loggedIn, "boss@example.org", "forged"); code(err) != 550 {
		t.Errorf("a sender of another domain: got %v, want 550", err)
	}
	log := relay.output.String()
	if !strings.Contains(log, `"level":"DEBUG"`) {
		t.Error("the log has no debug lines to search")
	}
	for user, password := range map[string]string{user: s.password, s.upstream.username: s.upstream.password} {
		encode := base64.StdEncoding.EncodeToString
		for _, secret := range []string{password, encode([]byte(password)), encode([]byte("\x00" + user + "\x00" + password))} {
			if strings.Contains(log, secret) {
				t.Errorf("the password of %s is in the log", user)
			}
		}
	}
}

func code(err error) int {
	var reply *textproto.Error
	if errors.As(err, &reply) {
		return reply.Code
	}
	return 0
}
