package submission

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/mailrelay-dev/mailrelay-operator/test/attack/hostile"
)

// TestSmuggling sends a second message behind each sequence. It must end as part of the
// first, or with the first refused.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	for _, sequence := range hostile.NotTheEnd {
		t.Run(fmt.Sprintf("%q", sequence), func(t *testing.T) {
			t.Parallel()
			f := start(t)
			c := f.login()
			c.begin()
			_, _ = io.WriteString(c.conn, "From: app@example.com\r\n\r\nfirst"+sequence+hostile.Smuggled+wireEnd)
			got := c.reply()
			messages := f.spool.messages()
			if strings.HasPrefix(got, "250 ") != (len(messages) == 1) || len(messages) > 1 {
				t.Fatalf("reply %q, %d messages stored", got, len(messages))
			}
			if len(messages) == 1 {
				checkWhole(t, messages[0])
			}
			_, _ = io.WriteString(c.conn, "QUIT\r\n")
			if rest, _ := io.ReadAll(c.in); strings.Contains(string(rest), "queued") || len(f.spool.messages()) > 1 {
				t.Errorf("a second message was taken: %q", rest)
			}
		})
	}
}

func checkWhole(t *testing.T, m stored) {
	t.Helper()
	if len(m.envelope.Recipients) != 1 || m.envelope.Recipients[0].Address != "bob@example.net" {
		t.Errorf("recipients %v", m.envelope.Recipients)
	}
	if !strings.Contains(m.content, "smuggled") {
		t.Errorf("the message lost its end: %q", m.content)
	}
	if bare := strings.ReplaceAll(m.content, "\r\n", ""); strings.ContainsAny(bare, "\r\n\x00") {
		t.Errorf("the message has a bare CR, LF or NUL: %q", m.content)
	}
}

// TestEndBehindABareCRDoesNotHang sends an end of data that go-smtp does not see.
func TestEndBehindABareCRDoesNotHang(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"\r\r\n.\r\n", "\r\n\r\r\n.\r\n", "\r\n.x\r\r\n.\r\n", "\r\n..\r\r\n.\r\n", "\r\r\r\n.\r\n",
		"\r\n.\r\r\n.\r\n", "\r\r\n.\r\r\n"} {
		f := start(t)
		c := f.login()
		c.begin()
		_, _ = io.WriteString(c.conn, "From: app@example.com\r\n\r\nfirst"+end)
		c.expect("554 5.6.0 ")
		c.expectClosed()
		if n := len(f.spool.messages()); n != 0 {
			t.Errorf("%q: %d messages stored", end, n)
		}
	}
}

// TestCloseDuringData ends the server while a message comes in: go-smtp then resets the
// session from another goroutine.
func TestCloseDuringData(t *testing.T) {
	t.Parallel()
	for range 20 {
		f := start(t)
		c := f.login()
		c.begin()
		c.send("From: app@example.com\r\n\r\nfirst\r\n")
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			f.stop()
		}()
		_, _ = io.WriteString(c.conn, strings.Repeat("more\r\n", 1000)+wireEnd)
		_, _ = io.ReadAll(c.in)
		<-closed
		if n := len(f.spool.messages()); n > 1 {
			t.Errorf("%d messages stored", n)
		}
	}
}

// TestPlaintextIsNotServed guards what AllowInsecureAuth rests on.
func TestPlaintextIsNotServed(t *testing.T) {
	t.Parallel()
	f := start(t)
	server, err := NewServer(Options{Config: configOf(f), Users: f.users, Spool: f.spool, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if !server.smtp.AllowInsecureAuth || server.smtp.Debug != nil || server.smtp.TLSConfig != nil {
		t.Error("the server is not set as the session expects")
	}
	l := listen(t)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "EHLO client.test\r\nAUTH PLAIN "+plainResponse("", testUser, testPassword)+"\r\nQUIT\r\n")
	got, _ := io.ReadAll(conn)
	if !strings.Contains(string(got), "\r\n554 5.7.0 ") || strings.Contains(string(got), "235 ") || strings.Contains(string(got), "AUTH") {
		t.Errorf("dialogue %q", got)
	}
}

func TestRepliesAreSafe(t *testing.T) {
	t.Parallel()
	r := refuse(reasonContent, 550, 5, 7, 1, "a\r\n250 ok\x00\u00fc"+strings.Repeat("x", 9000))
	if got := replyLine(r.reply); len(got) > 510 || strings.ContainsAny(got, "\r\n\x00") || !strings.HasPrefix(got, "550 5.7.1 a??250 ok??x") {
		t.Errorf("reply %q", got)
	}
	var s smtp.Session = &session{backend: &backend{}}
	s.Reset()
	if err := s.Logout(); err != nil {
		t.Error(err)
	}
}
