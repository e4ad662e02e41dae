package frontdoor

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// Whatever a client says after the handshake, the session ends without a panic and every
// byte of the answer belongs to a reply.
func FuzzSession(f *testing.F) {
	for _, seed := range []string{
		"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nx\r\n.\r\nQUIT\r\nMAIL FROM:<a@b.test>\r\n",
		"EHLO x\r\nSTARTTLS\r\nAUTH PLAIN\r\n*\r\nAUTH PLAIN AGEAYg==\r\n",
		"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nx\r\r\n.\r\nQUIT\r\n",
		"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nBDAT 5 LAST\r\nhelloQUIT\r\n",
		"NOOP without an end",
		"EHLO \r\x00<x>\nNOOP\nFROB\nFROB\nFROB\nFROB\n",
	} {
		f.Add([]byte(seed))
	}
	h := newHouse(f, func(o *Options) { o.Timeouts.Close = 20 * time.Millisecond })
	h.backend.onData = func(_ *Conn, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	}
	f.Cleanup(func() {
		waitFor(f, "all connections are let go", func() bool { return h.census.count() == 0 })
	})
	config := &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	f.Fuzz(func(t *testing.T, input []byte) {
		var conn *tls.Conn
		// A fast fuzzer runs out of local ports for a moment.
		waitFor(t, "a connection", func() bool {
			var err error
			conn, err = tls.Dial("tcp", h.smtps, config)
			return err == nil
		})
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		go func() {
			conn.Write(input)
			conn.CloseWrite()
		}()
		said, err := io.ReadAll(conn)
		if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
			t.Fatalf("%q: the session does not end", input)
		}
		for len(said) > 0 {
			_, size := splitReply(said)
			if size == 0 {
				t.Fatalf("%q: the answer ends with %q, which is no reply", input, said)
			}
			said = said[size:]
		}
		if strings.Contains(h.log.String(), "panic") {
			t.Fatalf("%q: %s", input, h.log.String())
		}
	})
}

// Whatever a client says in plaintext, on either port, no session begins.
func FuzzPlaintext(f *testing.F) {
	for _, opening := range plaintextOpenings {
		f.Add([]byte(opening), true)
		f.Add([]byte(opening), false)
	}
	h := newHouse(f, func(o *Options) {
		o.Timeouts = Timeouts{Silence: 20 * time.Millisecond, Close: 20 * time.Millisecond}
	})
	f.Fuzz(func(t *testing.T, input []byte, implicit bool) {
		address := h.smtp
		if implicit {
			address = h.smtps
		}
		c := dial(t, address)
		c.Write(input)
		c.Conn.(*net.TCPConn).CloseWrite()
		said, _ := io.ReadAll(c)
		if strings.Contains(string(said), "AUTH") || len(h.backend.conns) > 0 {
			t.Fatalf("%q begins a session: %q", input, said)
		}
	})
}
