package delivery

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// hostile is a connection to an upstream that says what a fuzzer makes up. What it says is cut
// into turns by NUL; each comes once the client has said something after the one before.
type hostile struct {
	turns [][]byte
	// spoken means that the client said something since the last turn.
	spoken bool
	said   bytes.Buffer
	// since is what was read after the content had left.
	since []byte
	// socket is one that stays silent, nil for none.
	socket net.Conn
}

// SyscallConn implements syscall.Conn.
func (h *hostile) SyscallConn() (syscall.RawConn, error) {
	if h.socket == nil {
		return nil, errors.ErrUnsupported
	}
	return h.socket.(syscall.Conn).SyscallConn()
}

func (h *hostile) Read(p []byte) (int, error) {
	switch {
	case len(h.turns) == 0:
		return 0, io.EOF
	case len(h.turns[0]) == 0 && !h.spoken:
		return 0, os.ErrDeadlineExceeded
	case len(h.turns[0]) == 0:
		h.turns, h.spoken = h.turns[1:], false
		return h.Read(p)
	}
	n := copy(p, h.turns[0])
	h.turns[0] = h.turns[0][n:]
	if h.complete() {
		h.since = append(h.since, p[:n]...)
	}
	return n, nil
}

// complete reports whether all of a message has left.
func (h *hostile) complete() bool {
	said := h.said.Bytes()
	return bytes.Contains(said, []byte("hello\r\n.\r\n")) || bytes.Contains(said, []byte("LAST\r\n"+greeting))
}

func (h *hostile) Write(p []byte) (int, error) {
	h.spoken = true
	return h.said.Write(p)
}

func (*hostile) Close() error                     { return nil }
func (*hostile) LocalAddr() net.Addr              { return nil }
func (*hostile) RemoteAddr() net.Addr             { return nil }
func (*hostile) SetDeadline(time.Time) error      { return nil }
func (*hostile) SetReadDeadline(time.Time) error  { return nil }
func (*hostile) SetWriteDeadline(time.Time) error { return nil }

// loginOf is a login by each mechanism, and none.
func loginOf(mechanism string, u *config.ResolvedUpstream) *tokenSource {
	switch mechanism {
	case "":
		return nil
	case config.AuthOAuthBearer, config.AuthXOAuth2:
		u.Username, u.Auth.OAuth2.TokenURL = "app", "https://token.test/"
		source := newTokenSource(*u, newFakeClock())
		source.token = "secrettoken"
		return source
	case config.AuthExternal:
		u.ClientCertificate = nil
	}
	u.Username, u.Password = "app", "secretpassword"
	return nil
}

// Whatever an upstream says, a session with it ends, nothing panics, no secret gets into the
// error of a login, and no message counts as delivered without a 2xx after its content.
func FuzzHostileUpstream(f *testing.F) {
	greet := "220 hi\r\n\x00250-x\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-LIMITS RCPTMAX=1\r\n250 AUTH PLAIN LOGIN SCRAM-SHA-256 XOAUTH2 OAUTHBEARER\r\n\x00"
	end := "250 ok\r\n250 ok\r\n354 go\r\n\x00250 queued\r\n\x00221 bye\r\n"
	seeds := []struct{ mechanism, said string }{
		{"", greet + end},
		{"", "220 hi\r\n\x00250 x\r\n\x00250 ok\r\n\x00250 ok\r\n\x00354 go\r\n\x00250 queued\r\n"},
		{"", "220 hi\r\n\x00500 what\r\n\x00250 x\r\n\x00250 ok\r\n\x00250 ok\r\n\x00354 go\r\n250 early\r\n"},
		{"", "220 hi\r\n\x00250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n\x00250 ok\r\n250 ok\r\n250 ok\r\n"},
		{config.AuthPlain, greet + "235 ok\r\n\x00" + end},
		{config.AuthPlain, greet + "535 no secretpassword\r\n"},
		{config.AuthLogin, greet + "334 VXNlcm5hbWU6\r\n\x00334 UGFzc3dvcmQ6\r\n\x00235 ok\r\n\x00" + end},
		{config.AuthSCRAM, greet + "334 " + encode("r=abc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096") + "\r\n\x00334 dj0=\r\n\x00235 ok\r\n\x00" + end},
		{config.AuthXOAuth2, greet + "334 " + encode(`{"status":"secrettoken"}`) + "\r\n\x00535 no\r\n\x00235 ok\r\n\x00" + end},
		{config.AuthOAuthBearer, greet + "334 " + encode(`{"status":"invalid_token"}`) + "\r\n\x00235 ok\r\n\x00" + end},
	}
	for _, seed := range seeds {
		f.Add(seed.mechanism, seed.said, false, false)
		f.Add(seed.mechanism, seed.said, true, false)
		f.Add(seed.mechanism, seed.said, true, true)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	silent, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = silent.Close(); _ = listener.Close() })
	success := regexp.MustCompile(`(?m)^2[0-9][0-9]`)
	f.Fuzz(func(t *testing.T, mechanism, says string, chunks, blindly bool) {
		h := &hostile{turns: bytes.Split([]byte(says), []byte{0})}
		if blindly {
			h.socket = silent
		}
		d := &dialer{hostname: "relay.test", timeouts: shortTimeouts(), upstream: config.ResolvedUpstream{Upstream: config.Upstream{
			Name: "test", Host: "upstream.test", Port: 25, TLS: config.TLSNone, Chunking: chunks,
		}}}
		d.upstream.Auth.Mechanism = mechanism
		d.tokens = loginOf(mechanism, &d.upstream)
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // no token endpoint is asked
		c := &connection{raw: h, timeouts: d.timeouts}
		c.use(h)
		verdicts := unanimous(1, d.open(ctx, c))
		if verdicts[0].err == nil {
			verdicts = c.transact(context.Background(), mail(greeting), func() {})
		}
		c.close()
		e := verdicts[0].err
		switch {
		case e == nil && !success.Match(h.since):
			t.Fatalf("delivered without a 2xx after the content, %q", h.said.String())
		case e != nil && (e.Class == "" || e.Step == ""):
			t.Fatalf("%+v", e)
		case e != nil && e.Step == StepAUTH && (strings.Contains(e.Text, "secrettoken") || strings.Contains(e.Text, "secretpassword")):
			t.Fatalf("%q has a secret", e.Text)
		}
	})
}
