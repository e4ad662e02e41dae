package frontdoor

import (
	"errors"
	"io"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// backend accepts everything and keeps the messages, except for what a test asks for by
// the local part of an address.
type backend struct {
	messages chan string
	// conns are the connections of the sessions.
	conns chan *Conn
	// onData, when set, is done instead of reading a body.
	onData func(*Conn, io.Reader) error
}

func newBackend() *backend {
	return &backend{messages: make(chan string, 100), conns: make(chan *Conn, 100)}
}

func (b *backend) NewSession(c *smtp.Conn) (smtp.Session, error) {
	if c.Hostname() == "broken.test" {
		return nil, errInternal
	}
	conn, _ := c.Conn().(*Conn)
	select {
	case b.conns <- conn:
	default:
	}
	return &session{backend: b, conn: conn}, nil
}

type session struct {
	*backend
	conn *Conn
}

var errInternal = errors.New("open /var/spool/secret: input/output error")

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	switch from {
	case "error@b.test":
		return errInternal
	case "panic@b.test":
		panic("in Mail")
	case "anonymous@b.test":
		return smtp.ErrAuthRequired
	case "refused@b.test":
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "First line\nsecond \x01 line"}
	case "closed@b.test":
		return &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 7, 0}, Message: "Go away"}
	}
	return nil
}

func (s *session) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s *session) Reset()                               {}
func (s *session) Logout() error                        { return nil }
func (s *session) AuthMechanisms() []string             { return []string{sasl.Plain} }

func (s *session) Auth(mechanism string) (sasl.Server, error) {
	switch mechanism {
	case "BROKEN":
		return nil, errInternal
	case "OFF":
		return nil, smtp.ErrAuthUnsupported
	}
	return sasl.NewPlainServer(func(string, string, string) error { return nil }), nil
}

func (s *session) Data(r io.Reader) error {
	if s.onData != nil {
		return s.onData(s.conn, r)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if string(content) == "fail\r\n" {
		return errInternal
	}
	s.messages <- string(content)
	return nil
}
