package frontdoor

import (
	"io"
	"strings"
	"testing"
	"time"
)

// read returns what comes in one piece: a record of TLS.
func (c *client) read() string {
	c.t.Helper()
	b := make([]byte, 1<<14)
	n, err := c.r.Read(b)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(b[:n])
}

func TestRepliesToCommandsThatCameTogetherGoTogether(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	c := h.dialTLS(t)
	c.say("EHLO client.test", "250 ")
	for range 2 {
		c.send("MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n")
		if got := c.read(); strings.Count(got, "\r\n") != 3 || !strings.HasPrefix(got, "250 2.1.0") || !strings.Contains(got, "\r\n354 ") {
			t.Errorf("first came %q", got)
		}
		// RFC 2920 §3.1: content may be followed by the commands of the next message.
		c.send("Hello.\r\n.\r\nRSET\r\nRSET\r\nNOOP\r\nNOOP\r\n")
		for _, want := range []int{1, 3, 1} {
			if got := c.read(); strings.Count(got, "\r\n") != want {
				t.Errorf("in one piece came %q, want %d replies", got, want)
			}
		}
		<-h.backend.messages
	}
	c.say("QUIT", "221 ")
	c.expectEnd()
}

// A reply must not wait for one that does not come, or not soon.
func TestRepliesWaitOnlyForWhatIsAtHand(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	h := newHouse(t, nil)
	h.backend.onData = func(_ *Conn, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		<-release
		return err
	}
	c := h.dialTLS(t)
	c.say("EHLO client.test", "250 ")
	c.send("NOOP\r\nNOO") // the rest is not at hand
	c.expect("250 ")
	c.send("P\r\n")
	c.expect("250 ")
	c.send("MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n")
	for range 2 {
		c.expect("250 ")
	}
	c.expect("354 ")
	c.send("Hello.\r\n.\r\n")
	time.AfterFunc(10*time.Millisecond, func() { close(release) })
	c.expect("250 ")
}

func TestRepliesThatWaitAreBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	c := h.dialTLS(t)
	c.say("EHLO client.test", "250 ")
	const commands = 2000 // in one record
	c.send(strings.Repeat("RSET\r\n", commands))
	if got := c.read(); len(got) > maxUnsent+100 {
		t.Errorf("%d bytes waited", len(got))
	}
	c.send("QUIT\r\n")
	got, err := io.ReadAll(c.r)
	if err != nil || !strings.HasSuffix(string(got), "closing connection\r\n") {
		t.Errorf("the end is %.100q, %v", got[max(0, len(got)-100):], err)
	}
}

func TestWhatTheServerSaidArrivesBeforeTheLastWord(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.backend.onData = func(c *Conn, r io.Reader) error {
		c.Abort("554 5.6.0 no more")
		return io.ErrUnexpectedEOF
	}
	c := h.dialTLS(t)
	c.say("EHLO client.test", "250 ")
	// All at once, so that 354 waits when the session ends.
	c.send("MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nHello.\r\n.\r\n")
	for _, want := range []string{"250 ", "250 ", "354 ", "554 5.6.0 no more"} {
		c.expect(want)
	}
	c.expectEnd()
}
