package selftest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

const sinkHost = "relay-sink." + namespace + ".svc"

// dialSink connects to a fresh sink.
func dialSink(t *testing.T) (*smtp.Client, *sink) {
	t.Helper()
	id, err := newIdentity(sinkHost, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	listener := listen(t)
	s := startSink(listener, id)
	t.Cleanup(s.close)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(id.secret()["ca.crt"])
	c, err := smtp.DialTLS(listener.Addr().String(), &tls.Config{RootCAs: roots, ServerName: sinkHost})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, s
}

func mustRefuse(t *testing.T, err error, code int) {
	t.Helper()
	var refusal *smtp.SMTPError
	if !errors.As(err, &refusal) || refusal.Code != code {
		t.Errorf("%v, want a refusal with %d", err, code)
	}
}

func TestSinkTakesNothingWithoutItsLogin(t *testing.T) {
	t.Parallel()
	c, s := dialSink(t)
	mustRefuse(t, c.Mail(sender, nil), 530)
	for _, login := range [][2]string{
		{s.identity.username, "wrong"}, {s.identity.username, ""}, {"other", s.identity.password},
	} {
		mustRefuse(t, c.Auth(sasl.NewPlainClient("", login[0], login[1])), 535)
		mustRefuse(t, c.Mail(sender, nil), 530)
	}
}

func TestSinkTellsTheMessageID(t *testing.T) {
	t.Parallel()
	c, s := dialSink(t)
	if err := c.Auth(sasl.NewPlainClient("", s.identity.username, s.identity.password)); err != nil {
		t.Fatal(err)
	}
	if err := c.SendMail(sender, []string{recipient}, strings.NewReader(message("<1@example.com>"))); err != nil {
		t.Fatal(err)
	}
	if id := <-s.arrived; id != "<1@example.com>" {
		t.Errorf("Message-ID %q", id)
	}
}

func TestSinkKeepsNoMoreThanTheTestNeeds(t *testing.T) {
	t.Parallel()
	c, s := dialSink(t)
	if err := c.Auth(sasl.NewPlainClient("", s.identity.username, s.identity.password)); err != nil {
		t.Fatal(err)
	}
	for range sinkBacklog {
		if err := c.SendMail(sender, []string{recipient}, strings.NewReader(message("<1@example.com>"))); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.SendMail(sender, []string{recipient}, strings.NewReader(message("<2@example.com>"))); err == nil {
		t.Error("the sink takes mail without end")
	}
	long := strings.NewReader(message("<3@example.com>") + strings.Repeat("x\r\n", sinkLimit))
	mustRefuse(t, c.SendMail(sender, []string{recipient}, long), 552)
}

func TestSinkSpeaksNothingButTLS(t *testing.T) {
	t.Parallel()
	id, err := newIdentity(sinkHost, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	listener := listen(t)
	s := startSink(listener, id)
	defer s.close()
	c, err := smtp.Dial(listener.Addr().String())
	if err != nil {
		return
	}
	c.CommandTimeout = time.Second
	if err := c.Hello("app"); err == nil {
		t.Error("the sink answers in plaintext")
	}
}
