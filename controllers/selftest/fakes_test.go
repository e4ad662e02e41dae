package selftest

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// fakeRelay takes mail on two ports and hands it to the sink at once.
type fakeRelay struct {
	identity          *identity
	password          string
	implicit, startTL net.Listener
	// loses is how many messages it accepts and forgets.
	loses int

	deliver func(message io.Reader) error

	mu    sync.Mutex
	count int
}

func newFakeRelay(t *testing.T) *fakeRelay {
	t.Helper()
	id, err := newIdentity("localhost", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeRelay{identity: id, password: rand.Text(), implicit: listen(t), startTL: listen(t)}
	f.serve(t, tls.NewListener(f.implicit, f.config()))
	f.serve(t, f.startTL)
	return f
}

func (f *fakeRelay) config() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{f.identity.certificate}, MinVersion: tls.VersionTLS12}
}

func (f *fakeRelay) serve(t *testing.T, listener net.Listener) {
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &fakeSession{relay: f}, nil }))
	server.TLSConfig = f.config()
	server.ErrorLog = log.New(io.Discard, "", 0)
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
}

// openLate closes the port for implicit TLS for a while.
func (f *fakeRelay) openLate(t *testing.T, after time.Duration) {
	f.implicit.Close()
	timer := time.AfterFunc(after, func() {
		listener, err := net.Listen("tcp", f.implicit.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		f.serve(t, tls.NewListener(listener, f.config()))
	})
	t.Cleanup(func() { timer.Stop() })
}

// binding is what an app of this relay gets.
func (f *fakeRelay) binding() map[string][]byte {
	port := func(l net.Listener) []byte { return []byte(strconv.Itoa(l.Addr().(*net.TCPAddr).Port)) }
	return map[string][]byte{
		"host": []byte("localhost"), "port": port(f.implicit), "submission-port": port(f.startTL),
		"username": []byte("app"), "password": []byte(f.password), "certificates": f.identity.certificatePEM,
	}
}

// deliverTo makes the sink, whose login is in a Secret, the upstream.
func (f *fakeRelay) deliverTo(api client.Client, key client.ObjectKey, address string) {
	f.deliver = func(message io.Reader) error {
		secret := &corev1.Secret{}
		if err := api.Get(context.Background(), key, secret); err != nil {
			return err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(secret.Data["ca.crt"])
		c, err := smtp.DialTLS(address, &tls.Config{RootCAs: roots, ServerName: "relay-sink." + namespace + ".svc"})
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.Auth(sasl.NewPlainClient("", string(secret.Data["username"]), string(secret.Data["password"]))); err != nil {
			return err
		}
		return c.SendMail(sender, []string{recipient}, message)
	}
}

type fakeSession struct{ relay *fakeRelay }

func (s *fakeSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *fakeSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, _, password string) error {
		if password != s.relay.password {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (s *fakeSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s *fakeSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s *fakeSession) Reset()                               {}
func (s *fakeSession) Logout() error                        { return nil }

func (s *fakeSession) Data(r io.Reader) error {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	s.relay.count++
	if s.relay.count <= s.relay.loses {
		_, err := io.Copy(io.Discard, r)
		return err
	}
	if err := s.relay.deliver(r); err != nil {
		return err
	}
	return &smtp.SMTPError{Code: 250, EnhancedCode: smtp.NoEnhancedCode, Message: fmt.Sprintf("queued as Q%d", s.relay.count)}
}
