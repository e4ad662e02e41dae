package frontdoor

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	certificate := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("none") }
	l := listen(t)
	defer l.Close()
	tests := []struct {
		name    string
		options Options
		want    string
	}{
		{"no name", Options{Submissions: l, GetCertificate: certificate}, "host name"},
		{"no listener", Options{Hostname: hostname, GetCertificate: certificate}, "no listener"},
		{"no certificate", Options{Hostname: hostname, Submission: l}, "certificates"},
		{"old TLS", Options{Hostname: hostname, Submission: l, GetCertificate: certificate, MinVersion: tls.VersionTLS11}, "TLS 1.1"},
	}
	for _, tt := range tests {
		if _, err := New(tt.options); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
}

// The server behind the Door allows AUTH on every connection that it gets, so all safety
// rests on this: nothing unencrypted comes out, however a client begins.
func TestOnlyEncryptedConnectionsComeOut(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(t)
	door, err := New(Options{
		Hostname: hostname, Submissions: listen(t), Submission: listen(t),
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil },
		Timeouts:       Timeouts{Silence: 50 * time.Millisecond, Close: 50 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 100)
	go func() {
		defer close(accepted)
		for {
			conn, err := door.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	for _, opening := range plaintextOpenings {
		for _, l := range []net.Listener{door.options.Submissions, door.options.Submission} {
			c := dial(t, l.Addr().String())
			c.send(opening)
			c.Conn.(*net.TCPConn).CloseWrite()
			io.ReadAll(c)
		}
	}
	encrypted, err := tls.Dial("tcp", door.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer encrypted.Close()
	first := <-accepted
	door.Close()
	conn, ok := first.(*Conn)
	if !ok || !conn.ConnectionState().HandshakeComplete || conn.Service() != "submissions" {
		t.Errorf("got %T", first)
	}
	for c := range accepted {
		t.Errorf("a connection from %v came out without TLS", c.RemoteAddr())
	}
	if got, want := conn.RemoteAddr().String(), encrypted.LocalAddr().String(); got != want {
		t.Errorf("the client's address is %s, want %s", got, want)
	}
}

var plaintextOpenings = []string{
	"", "\r\n", "EHLO x\r\n", "EHLO x\r\nAUTH PLAIN AGEAYg==\r\n", "STARTTLS\r\n", "STARTTLS\r\n\x16\x03\x01",
	"STARTTLS\r\nEHLO x\r\nAUTH PLAIN AGEAYg==\r\n", "GET / HTTP/1.1\r\n\r\n", "\x16", "\x16\x03\x01garbage",
	"\x80\x2e\x01\x00\x02", "PROXY UNKNOWN\r\nEHLO x\r\n", strings.Repeat("x", 5000),
}

func TestAConnIsNeverMadeWithoutAHandshake(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	if c, err := newConn(tls.Server(ours, &tls.Config{}), Submissions, &Options{}, nil); c != nil || err == nil {
		t.Errorf("got %v, %v", c, err)
	}
}

func TestAddrIsThatOfTheOpenPort(t *testing.T) {
	t.Parallel()
	l := listen(t)
	door, err := New(Options{
		Hostname: hostname, Submission: l,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	if door.Addr() != l.Addr() {
		t.Errorf("got %v", door.Addr())
	}
}

func TestDrainLetsMessagesFinish(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	waiting, busy, fresh := h.dialTLS(t), h.dialStartTLS(t), dial(t, h.smtp)
	fresh.expect("220 ")
	waiting.say("EHLO x", "250 ")
	busy.say("EHLO x", "250 ")
	busy.say("MAIL FROM:<a@b.test>", "250 ")
	drained := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	go func() { drained <- h.Drain(ctx) }()
	waiting.expect("421 4.3.2")
	waiting.expectEnd()
	fresh.expectEnd()
	busy.say("RCPT TO:<c@d.test>", "250 ")
	busy.say("DATA", "354 ")
	busy.say("x\r\n.", "250 ")
	busy.expect("421 4.3.2")
	busy.expectEnd()
	if _, err := net.Dial("tcp", h.smtps); err == nil {
		t.Error("a draining door takes connections")
	}
	waiting.Close()
	busy.Close()
	if err := <-drained; err != nil {
		t.Errorf("Drain: %v", err)
	}
	if n := h.census.count(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestDrainCutsWhatDoesNotFinish(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	c := h.dialTLS(t)
	c.beginData()
	c.send("a message that does not end")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.Drain(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Drain: %v", err)
	}
	c.expect("421 4.3.2")
	c.expectEnd()
	if n := h.census.count(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	session, plain := h.dialTLS(t), dial(t, h.smtp)
	plain.expect("220 ")
	for range 2 {
		if err := h.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	session.expect("421 4.3.2")
	session.expectEnd()
	plain.expectEnd()
	if _, err := h.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
}

// unsteady is a listener that fails twice before it accepts.
type unsteady struct {
	net.Listener
	failures chan error
}

func (l unsteady) Accept() (net.Conn, error) {
	select {
	case err := <-l.failures:
		return nil, err
	default:
		return l.Listener.Accept()
	}
}

func TestAFailingListenerIsTriedAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *Options) {
		failures := make(chan error, 1)
		failures <- errors.New("too many open files")
		o.Submissions = unsteady{o.Submissions, failures}
	})
	h.dialTLS(t).say("NOOP", "250 ")
	if log := h.log.String(); !strings.Contains(log, "too many open files") {
		t.Errorf("logged %q", log)
	}
}
