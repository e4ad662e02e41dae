package frontdoor

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestBothPortsTakeMessages(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	for name, dial := range map[string]func(testing.TB) *client{"465": h.dialTLS, "587": h.dialStartTLS} {
		t.Run(name, func(t *testing.T) {
			c := dial(t)
			hello := c.say("EHLO client.test", "250 ")
			if !strings.HasPrefix(hello, "250-"+hostname+" ") || strings.Contains(hello, "CHUNKING") || strings.Contains(hello, "STARTTLS") {
				t.Errorf("EHLO says %q", hello)
			}
			for range 2 {
				c.send("MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n")
				c.expect("250 2.1.0")
				c.expect("250 2.1.5")
				c.expect("354 ")
				c.say("Subject: x\r\n\r\n..dot\r\nThe end.\r\n.", "250 2.0.0")
				if got := <-h.backend.messages; got != "Subject: x\r\n\r\n.dot\r\nThe end.\r\n" {
					t.Errorf("got the message %q", got)
				}
			}
			c.say("QUIT", "221 2.0.0")
			c.expectEnd()
		})
	}
}

// What the client sends must reach the server byte for byte, whatever it is.
func TestTheBodyIsNotAltered(t *testing.T) {
	t.Parallel()
	bodies := []string{
		"bare\nLF\n.\nstays\r\n", "bare\rCR stays\r\n", "\x00\xff\r\n", "\r\n\r\n", strings.Repeat("long", 1<<16) + "\r\n",
		strings.Repeat("A sentence.\r\n", 2000), "dot.\r\n.\rno\r\n",
	}
	h := newHouse(t, nil)
	c := h.dialTLS(t)
	c.say("EHLO client.test", "250 ")
	for _, body := range bodies {
		c.say("MAIL FROM:<a@b.test>", "250 ")
		c.say("RCPT TO:<c@d.test>", "250 ")
		c.say("DATA", "354 ")
		c.say(strings.ReplaceAll(body, "\r\n.", "\r\n..")+".", "250 ")
		if got := <-h.backend.messages; got != body {
			t.Errorf("sent %.60q, the server got %.60q", body, got)
		}
	}
}

func TestNothingIsHandledAfterQuit(t *testing.T) {
	t.Parallel()
	const message = "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nx\r\n.\r\n"
	tests := []struct {
		name, send string
		replies    int
		messages   int
	}{
		{"after EHLO", "EHLO x\r\nQUIT\r\n" + message, 1, 0},
		{"at once", "QUIT\r\n" + message, 0, 0},
		{"after a message", "EHLO x\r\n" + message + "QUIT\r\n" + message, 5, 1},
	}
	for _, tt := range tests {
		h := newHouse(t, nil)
		c := h.dialTLS(t)
		c.send(tt.send)
		for range tt.replies {
			c.expect("")
		}
		c.expect("221 ")
		c.expectEnd()
		if n := len(h.backend.messages); n != tt.messages {
			t.Errorf("%s: took %d messages, want %d", tt.name, n, tt.messages)
		}
		if log := h.log.String(); log != "" {
			t.Errorf("%s: logged %q", tt.name, log)
		}
	}
}

func TestASessionCanSendTheClientAway(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	c := h.dialTLS(t)
	c.say("EHLO x", "250 ")
	c.say("MAIL FROM:<refused@b.test>", "550 5.7.1 second ? line")
	c.send("MAIL FROM:<closed@b.test>\r\nNOOP\r\n")
	c.expect("421 4.7.0 Go away")
	c.expectEnd()
}

func TestAbortFromWithinABody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.backend.onData = func(c *Conn, r io.Reader) error {
		io.ReadFull(r, make([]byte, 3))
		c.Abort("554 5.6.0 Bare CR in message")
		_, err := io.ReadAll(r)
		return err
	}
	c := h.dialTLS(t)
	c.beginData()
	c.send("the start of a message that never ends\r\n")
	c.expect("554 5.6.0 Bare CR in message")
	c.expectEnd()
	waitFor(t, "the connection is let go", func() bool { return h.census.count() == 0 })
}

func TestAbortWhileTheServerReads(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	c := h.dialStartTLS(t)
	c.say("EHLO x", "250 ")
	conn := <-h.backend.conns
	conn.Abort("421 4.3.0 Enough")
	conn.Abort("421 4.3.0 Never said")
	c.expect("421 4.3.0 Enough")
	c.expectEnd()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a read after the end gives %v", err)
	}
	if n, err := conn.Write([]byte("250 OK\r\n")); n != 8 || err != nil {
		t.Errorf("a write after the end gives %d, %v", n, err)
	}
}

func TestAbortWhileTheClientDoesNotRead(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *Options) { o.Timeouts.Close = 50 * time.Millisecond })
	c := h.dialTLS(t)
	c.say("EHLO x", "250 ")
	conn := <-h.backend.conns
	go conn.Write([]byte("250 " + strings.Repeat("x", 1<<24) + "\r\n"))
	waitFor(t, "a reply is being written", func() bool {
		free := conn.writeMu.TryLock()
		if free {
			conn.writeMu.Unlock()
		}
		return !free
	})
	began := time.Now()
	conn.Abort("421 4.3.0 Enough")
	waitFor(t, "the connection is cut", func() bool { return h.census.count() == 0 })
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("cut after %v", took)
	}
}

// A client that sends and never reads must not hold a session for ever.
func TestAReplyThatIsNotTakenEndsTheSession(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *Options) {
		o.Timeouts.Write = 50 * time.Millisecond
		o.Timeouts.Close = 50 * time.Millisecond
	})
	c := h.dialTLS(t)
	c.say("EHLO x", "250 ")
	if _, err := (<-h.backend.conns).Write([]byte("250 " + strings.Repeat("x", 1<<24) + "\r\n")); err == nil {
		t.Error("16 MiB were taken by a client that does not read")
	}
	waitFor(t, "the connection is cut", func() bool { return h.census.count() == 0 })
}

func TestDefaultTimesAreThoseOfTheStandard(t *testing.T) {
	t.Parallel()
	var d Timeouts
	d.setDefaults()
	switch {
	case d.Command < 5*time.Minute:
		t.Errorf("a command has %v, RFC 5321 §4.5.3.2.7 wants 5 minutes", d.Command)
	case d.Body < 3*time.Minute:
		t.Errorf("a part of a body has %v, RFC 5321 §4.5.3.2.5 wants 3 minutes", d.Body)
	case d.Close > time.Second:
		t.Errorf("a connection takes %v to close", d.Close)
	case d.Login != 2*time.Minute:
		t.Errorf("a client has %v to log in", d.Login)
	case d.Silence != 5*time.Second:
		t.Errorf("a silent client of port 465 has %v", d.Silence)
	}
	var l Limits
	l.setDefaults()
	if l.Line < 12288 {
		t.Errorf("a line has %d bytes, RFC 4954 §4 wants 12288", l.Line)
	}
}

func TestLimitsOfASession(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*Options)
		body   bool
		send   string
		want   string
	}{
		{"a command line too long", nil, false, "NOOP " + strings.Repeat("x", 20000), "500 5.5.2 Line too long"},
		{"a SASL line too long", nil, false, "EHLO x\r\nAUTH PLAIN\r\n" + strings.Repeat("A", 20000), "500 5.5.6 Authentication line too long"},
		{"no command in time", func(o *Options) { o.Timeouts.Command = 50 * time.Millisecond }, false, "NOO", "421 4.4.2 relay.test closing: no command"},
		{"no body in time", func(o *Options) { o.Timeouts.Body = 50 * time.Millisecond }, true, "x", "421 4.4.2 relay.test closing: the message"},
		{"no login in time", func(o *Options) { o.Timeouts.Login = 50 * time.Millisecond }, false, "NOO", "421 4.7.0 relay.test closing: no login"},
		{"a session too long", func(o *Options) { o.Timeouts.Session = 50 * time.Millisecond }, false, "", "421 4.4.2 relay.test closing: the session"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, tt.change)
			c := h.dialTLS(t)
			if tt.body {
				c.beginData()
			}
			c.send(tt.send)
			if strings.HasPrefix(tt.send, "EHLO") {
				c.expect("250 ")
				c.expect("334 ")
			}
			c.expect(tt.want)
			c.expectEnd()
		})
	}
}

// What a client says wins it no time to log in, and once it has none is needed.
func TestLoginHasATimeLimit(t *testing.T) {
	t.Parallel()
	const limit = 300 * time.Millisecond
	h := newHouse(t, func(o *Options) { o.Timeouts.Login = limit })
	app, stranger := h.dialTLS(t), h.dialStartTLS(t)
	began := time.Now()
	app.say("EHLO x", "250 ")
	app.say("AUTH PLAIN AHUAcA==", "235 ")
	stranger.say("EHLO x", "250 ")
	for time.Since(began) < limit/2 {
		stranger.say("NOOP", "250 ")
		time.Sleep(limit / 20)
	}
	stranger.expect("421 4.7.0 relay.test closing: no login came in time")
	stranger.expectEnd()
	if took := time.Since(began); took < limit-limit/10 {
		t.Errorf("the client was closed after %v", took)
	}
	app.beginData()
	app.say("x\r\n.", "250 ")
}

func TestSASLLinesMayBeLong(t *testing.T) {
	t.Parallel()
	c := newHouse(t, nil).dialTLS(t)
	c.say("EHLO x", "250 ")
	c.say("AUTH PLAIN "+strings.Repeat("A", 12288), "454 4.7.0")
}

// Those of the session count, and those of go-smtp, in any mixture.
func TestErrorsWithoutAMessageAreBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *Options) { o.Limits.Errors = 4 })
	c := h.dialTLS(t)
	c.say("EHLO x", "250 ")
	for range 3 {
		c.say("MAIL FROM:<refused@b.test>", "550 ")
		c.say("RCPT TO:<c@d.test>", "503 ")
		c.say("MAIL FROM:<a@b.test> FOO=1", "555 ")
		c.beginData()
		c.say("x\r\n.", "250 ")
	}
	for range 4 {
		c.say("MAIL FROM:<refused@b.test>", "550 ")
	}
	c.say("DATA", "503 ")
	c.expect("421 4.7.0 relay.test too many errors")
	c.expectEnd()
}

func TestCommandsWithoutAMessageAreBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *Options) { o.Limits.Commands = 6 })
	c := h.dialTLS(t)
	for range 3 {
		c.beginData()
		c.say("x\r\n.", "250 ")
	}
	for range 5 {
		c.say("NOOP", "250 ")
	}
	c.say("NOOP", "250 ")
	c.expect("421 4.7.0")
	c.expectEnd()
}

// Each byte comes well in time; only their rate is too low.
func TestSlowBodyIsCut(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *Options) {
		o.Limits.MinRate = 1000
		o.Timeouts.Body = 100 * time.Millisecond
	})
	c := h.dialTLS(t)
	c.beginData()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-tick.C:
				_, _ = io.WriteString(c.Conn, "x")
			case <-stop:
				tick.Stop()
				return
			}
		}
	}()
	c.expect("421 4.4.2 relay.test closing: the message came too slowly")
	if n := len(h.backend.messages); n > 0 {
		t.Errorf("took %d messages", n)
	}
}

// What a client pipelines behind a message must not hold the reply back: a client that
// waits for it would hang, and one that times out sends again.
func TestTheEndOfDataIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	for _, behind := range []string{"", "N", "NOOP\r", "MAIL FROM:<a@b.test>\r\nRCPT"} {
		c := h.dialTLS(t)
		c.beginData()
		began := time.Now()
		c.send("x\r\n.\r\n" + behind)
		c.expect("250 2.0.0")
		if took := time.Since(began); took > time.Second {
			t.Errorf("behind %q: answered after %v", behind, took)
		}
	}
}

func TestCommandsMustEndWithCRLF(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	tests := []struct {
		name, replies string
		parts         []string
	}{
		{"first command", "", []string{"NOOP\n"}},
		{"byte by byte", "", []string{"N", "O", "O", "P", "\n"}},
		{"a line of LF", "", []string{"\n"}},
		{"behind a good one", "250", []string{"NOOP\r\n\nNOOP\r\n"}},
		{"behind one that was split", "250", []string{"NOOP\r", "\n", "\n"}},
		{"in a login", "250 334", []string{"EHLO x\r\nAUTH PLAIN\r\nAGEAYg==\n"}},
		{"after a message", "250 250 250 354 250", []string{"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nx\n\r\n.\r\nQUIT\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := h.dialTLS(t)
			for _, part := range tt.parts {
				c.send(part)
			}
			for _, code := range strings.Fields(tt.replies) {
				c.expect(code)
			}
			c.expect("500 5.5.2 Lines must end with CR LF")
			c.expectEnd()
		})
	}
}

// go-smtp runs the chunk of a BDAT that it cannot read as commands, and takes a message of one
// that was cut off.
func TestBDATEndsTheSession(t *testing.T) {
	t.Parallel()
	const chunk = "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nx\r\n.\r\n"
	h := newHouse(t, nil)
	for _, command := range []string{"BDAT", "BDAT 100000 LAST", "bdat 4294967296", "BDAT 5 LAST again", "BDAT -1", "BDAT 5 FIRST", "B|D|A|T| 5"} {
		for _, inTransaction := range []bool{true, false} {
			c := h.dialTLS(t)
			c.say("EHLO x", "250 ")
			if inTransaction {
				c.say("MAIL FROM:<a@b.test>", "250 ")
				c.say("RCPT TO:<c@d.test>", "250 ")
			}
			for _, part := range strings.Split(command+"\r\n"+chunk, "|") {
				c.send(part)
			}
			c.expect("502 5.5.1 BDAT is not offered, closing")
			c.expectEnd()
		}
	}
	if n := len(h.backend.messages); n > 0 {
		t.Errorf("took %d messages", n)
	}
}

func TestKnownCommandsThatAreNotOffered(t *testing.T) {
	t.Parallel()
	c := newHouse(t, nil).dialTLS(t)
	c.say("EHLO x", "250 ")
	for _, command := range []string{"EXPN list", "SEND FROM:<a@b.test>", "SOML FROM:<a@b.test>", "SAML FROM:<a@b.test>", "TURN"} {
		c.say(command, "502 5.5.1")
	}
	c.say("VRFY a@b.test", "252 2.5.0")
	c.say("NOOP", "250 ")
}

// What only looks like BDAT is go-smtp's to answer.
func TestOnlyBDATIsBDAT(t *testing.T) {
	t.Parallel()
	c := newHouse(t, nil).dialTLS(t)
	c.say("EHLO BDAT", "250 ")
	c.say("BDATA 5", "500 5.5.1 Command not recognized")
	c.say("AUTH PLAIN", "334 ")
	c.say("BDAT", "454 4.7.0")
	c.beginData()
	c.say("BDAT 5 LAST\r\n.", "250 ")
}

// A client that goes away in a body or a line must not be taken for one that has ended it.
func TestALostClientIsNotAnEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	got := make(chan error, 1)
	h.backend.onData = func(_ *Conn, r io.Reader) error {
		_, err := io.ReadAll(r)
		got <- err
		return err
	}
	c := h.dialTLS(t)
	c.beginData()
	c.send("half a message\r\n")
	c.Close()
	if err := <-got; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the session was told %v", err)
	}
}

func TestAClientMayLeaveWithoutAWord(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	c := h.dialTLS(t)
	c.say("EHLO x", "250 ")
	c.Close()
	waitFor(t, "the connection is let go", func() bool { return h.census.count() == 0 })
	if log := h.log.String(); log != "" {
		t.Errorf("logged %q", log)
	}
}

func TestDeadlinesOfTheServerDoNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	c := h.dialTLS(t)
	c.say("EHLO x", "250 ")
	conn := <-h.backend.conns
	past := time.Unix(1, 0)
	for _, err := range []error{conn.SetDeadline(past), conn.SetReadDeadline(past), conn.SetWriteDeadline(past)} {
		if err != nil {
			t.Error(err)
		}
	}
	c.say("NOOP", "250 ")
}

func TestLeaveLetsATransactionFinish(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	c := h.dialTLS(t)
	c.beginData()
	conn := <-h.backend.conns
	conn.Leave("421 4.7.0 Not you any more", time.Hour)
	c.send("a message\r\n.\r\n")
	c.expect("250 ")
	c.expect("421 4.7.0 Not you any more")
	c.expectEnd()

	idle := h.dialStartTLS(t)
	idle.say("EHLO x", "250 ")
	(<-h.backend.conns).Leave("421 4.7.0 Nor you", time.Hour)
	idle.expect("421 4.7.0 Nor you")
	idle.expectEnd()
}

// isOverdue tells whether the client of a session that is to leave is not waited for any more.
func (c *Conn) isOverdue() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.overdue
}

// TestLeaveWaitsForTheServer: who heard 421 would send again what is being stored.
func TestLeaveWaitsForTheServer(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	read, stored := make(chan struct{}), make(chan struct{})
	h.backend.onData = func(_ *Conn, r io.Reader) error {
		_, err := io.ReadAll(r)
		close(read)
		<-stored
		return err
	}
	c := h.dialTLS(t)
	c.beginData()
	conn := <-h.backend.conns
	c.send("a message\r\n.\r\n")
	<-read
	conn.Leave("421 4.7.0 Not you any more", 0)
	waitFor(t, "the client has had its time", conn.isOverdue)
	close(stored)
	c.expect("250 ")
	c.expect("421 4.7.0 Not you any more")
	c.expectEnd()
}

func TestLeaveDoesNotWaitLongForTheClient(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	c := h.dialTLS(t)
	c.beginData()
	c.send("a message without an end\r\n")
	(<-h.backend.conns).Leave("421 4.7.0 Not you any more", time.Millisecond)
	c.expect("421 4.7.0 Not you any more")
	c.expectEnd()
	if n := len(h.backend.messages); n != 0 {
		t.Errorf("%d messages were taken", n)
	}
}
