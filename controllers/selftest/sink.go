package selftest

import (
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/mail"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

const (
	// sinkTimeout is how long the sink waits for a client's next command.
	sinkTimeout = 30 * time.Second
	// sinkLimit is the largest message that the sink takes, in bytes.
	sinkLimit = 64 << 10
	// sinkBacklog is how many arrivals are kept until someone asks; the test sends two.
	sinkBacklog = 16
)

// sink is a mail server where mail ends: of each message it keeps the Message-ID, and sends
// nothing on. It takes mail only over TLS, and only from who logs in.
type sink struct {
	server   *smtp.Server
	identity *identity
	arrived  chan string
}

// startSink serves on the listener until the sink is closed.
func startSink(listener net.Listener, id *identity) *sink {
	s := &sink{identity: id, arrived: make(chan string, sinkBacklog)}
	s.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &session{sink: s}, nil
	}))
	s.server.Domain = id.host
	s.server.ReadTimeout, s.server.WriteTimeout = sinkTimeout, sinkTimeout
	s.server.MaxMessageBytes = sinkLimit
	// The relay tells what goes wrong, in its conditions.
	s.server.ErrorLog = log.New(io.Discard, "", 0)
	encrypted := tls.NewListener(listener, &tls.Config{
		Certificates: []tls.Certificate{id.certificate},
		MinVersion:   tls.VersionTLS12,
	})
	go func() {
		// It ends when the sink is closed, and has nothing to say then.
		_ = s.server.Serve(encrypted)
	}()
	return s
}

func (s *sink) close() { _ = s.server.Close() }

// session is one connection to the sink.
type session struct {
	sink     *sink
	loggedIn bool
}

var _ smtp.AuthSession = (*session)(nil)

// AuthMechanisms is PLAIN, since the connection is encrypted.
func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth checks the one login that there is.
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		want := s.sink.identity
		if username != want.username || subtle.ConstantTimeCompare([]byte(password), []byte(want.password)) != 1 {
			return smtp.ErrAuthFailed
		}
		s.loggedIn = true
		return nil
	}), nil
}

// Mail wants a login.
func (s *session) Mail(string, *smtp.MailOptions) error {
	if !s.loggedIn {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Log in first"}
	}
	return nil
}

// Rcpt takes any recipient: nothing goes further than here.
func (s *session) Rcpt(string, *smtp.RcptOptions) error { return nil }

// Data tells of a message's arrival and forgets the message.
func (s *session) Data(r io.Reader) error {
	message, err := mail.ReadMessage(r)
	if err == nil {
		_, err = io.Copy(io.Discard, message.Body)
	}
	if err != nil {
		// Unwrapped: go-smtp finds its own refusals, such as that of the size, by type.
		return err
	}
	select {
	case s.sink.arrived <- message.Header.Get("Message-Id"):
		return nil
	default:
		return errors.New("more messages than the test sends")
	}
}

// Reset has nothing to forget.
func (s *session) Reset() {}

// Logout has nothing to give back.
func (s *session) Logout() error { return nil }
