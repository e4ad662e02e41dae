package relay_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// upstream is a mail provider: implicit TLS, PLAIN, and it keeps what it got.
type upstream struct {
	ca                 *authority
	certificate        *tls.Certificate
	host               string
	port               int
	username, password string

	mu       sync.Mutex
	messages []received
	// refuse, when set, is the answer to every recipient.
	refuse *smtp.SMTPError
	// stop ends it and frees its address.
	stop func()
}

// received is one message.
type received struct {
	from, content string
	to            []string
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	ca := newAuthority(t)
	u := &upstream{ca: ca, username: "provider-user", password: rand.Text()}
	u.certificate = ca.sign(&x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	u.serve(t, "127.0.0.1:0")
	return u
}

// serve listens; it may be called again after stop with the address it had.
func (u *upstream) serve(t *testing.T, address string) {
	t.Helper()
	l, err := tls.Listen("tcp", address, &tls.Config{Certificates: []tls.Certificate{*u.certificate}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	u.host, u.port = hostPort(t, l.Addr())
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &upstreamSession{upstream: u}, nil
	}))
	server.Domain = "provider.test"
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	u.stop = func() {
		_ = server.Close()
		// A server that is closed before it serves leaves its listener open.
		_ = l.Close()
		<-done
	}
	t.Cleanup(u.stop)
}

func (u *upstream) setRefusal(e *smtp.SMTPError) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.refuse = e
}

// find returns the message that holds a text.
func (u *upstream) find(text string) (received, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, m := range u.messages {
		if strings.Contains(m.content, text) {
			return m, true
		}
	}
	return received{}, false
}

func (u *upstream) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.messages)
}

type upstreamSession struct {
	*upstream
	authenticated bool
	message       received
}

func (s *upstreamSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *upstreamSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if username != s.username || password != s.password {
			return smtp.ErrAuthFailed
		}
		s.authenticated = true
		return nil
	}), nil
}

func (s *upstreamSession) Mail(from string, _ *smtp.MailOptions) error {
	if !s.authenticated {
		return smtp.ErrAuthRequired
	}
	s.message = received{from: from}
	return nil
}

func (s *upstreamSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil && !strings.HasPrefix(to, "app@") {
		return s.refuse
	}
	s.message.to = append(s.message.to, to)
	return nil
}

func (s *upstreamSession) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return errors.New("cannot read the message")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.message.content = string(content)
	s.messages = append(s.messages, s.message)
	return nil
}

func (s *upstreamSession) Reset()        {}
func (s *upstreamSession) Logout() error { return nil }
