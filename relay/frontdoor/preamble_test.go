package frontdoor

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestPreambleSpeaksOfNothingButTLS(t *testing.T) {
	t.Parallel()
	tests := []struct {
		line, want string
		next       step
	}{
		{"EHLO client.test", "250-relay.test greets you\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 STARTTLS\r\n", stepNext},
		{"ehlo [127.0.0.1] ", "250-relay.test greets you\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 STARTTLS\r\n", stepNext},
		{"EHLO", "501 5.5.4 EHLO and HELO need your domain or address literal\r\n", stepNext},
		{"HELO x", "250 relay.test\r\n", stepNext},
		{"HELO ", "501 5.5.4 EHLO and HELO need your domain or address literal\r\n", stepNext},
		{"NOOP", "250 2.0.0 OK\r\n", stepNext},
		{"NOOP \t", "250 2.0.0 OK\r\n", stepNext},
		{"RSET", "250 2.0.0 OK\r\n", stepNext},
		{"QUIT", "221 2.0.0 relay.test closing connection\r\n", stepQuit},
		{"STARTTLS", "220 2.0.0 Ready to start TLS\r\n", stepStartTLS},
		{"starttls ", "220 2.0.0 Ready to start TLS\r\n", stepStartTLS},
		{"STARTTLS now", "501 5.5.4 STARTTLS takes no argument\r\n", stepNext},
		{"STARTTLSXYZ", "530 5.7.0 Must issue a STARTTLS command first\r\n", stepNext},
		{"MAIL FROM:<a@b.test>", "530 5.7.0 Must issue a STARTTLS command first\r\n", stepNext},
		{"RCPT TO:<a@b.test>", "530 5.7.0 Must issue a STARTTLS command first\r\n", stepNext},
		{"DATA", "530 5.7.0 Must issue a STARTTLS command first\r\n", stepNext},
		{"BDAT 3 LAST", "530 5.7.0 Must issue a STARTTLS command first\r\n", stepNext},
		{"AUTH PLAIN AGEAYg==", "530 5.7.0 Must issue a STARTTLS command first\r\n", stepNext},
		{"VRFY a", "530 5.7.0 Must issue a STARTTLS command first\r\n", stepNext},
		{"nonsense", "530 5.7.0 Must issue a STARTTLS command first\r\n", stepNext},
		{"", "500 5.5.2 Empty command\r\n", stepNext},
		{"GET / HTTP/1.1", "", stepHTTP},
		{"CONNECT mail.test:25 HTTP/1.1", "", stepHTTP},
	}
	p := preamble{hostname: hostname}
	for _, tt := range tests {
		if got, next := p.command(tt.line); got != tt.want || next != tt.next {
			t.Errorf("%q: got %q and step %d, want %q and step %d", tt.line, got, next, tt.want, tt.next)
		}
	}
}

func TestLinesAreBounded(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, input string
		want        []string
		err         error
	}{
		{"lines", "a\r\nbc\r\n", []string{"a", "bc"}, io.EOF},
		{"longest line", strings.Repeat("x", 510) + "\r\n", []string{strings.Repeat("x", 510)}, io.EOF},
		{"too long a line", strings.Repeat("x", 511) + "\r\n", nil, errLineTooLong},
		{"a line without an end", strings.Repeat("x", 1<<20), nil, errLineTooLong},
		{"bare LF", "a\r\nb\n", []string{"a"}, errBareLF},
		{"bare CR is part of a line", "a\rb\r\n", []string{"a\rb"}, io.EOF},
		{"unfinished line", "a\r\nb", []string{"a"}, io.EOF},
	}
	for _, tt := range tests {
		for way, r := range map[string]io.Reader{
			"at once": strings.NewReader(tt.input), "byte by byte": iotest.OneByteReader(strings.NewReader(tt.input)),
		} {
			l := &lines{r: r}
			var got []string
			var err error
			for err == nil {
				var line string
				if line, err = l.next(); err == nil {
					got = append(got, line)
				}
			}
			if strings.Join(got, "|") != strings.Join(tt.want, "|") || !errors.Is(err, tt.err) {
				t.Errorf("%s, %s: got %q and %v", tt.name, way, got, err)
			}
		}
	}
}

func TestNothingMayFollowStartTLS(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	for _, rest := range []string{"EHLO x\r\n", "AUTH PLAIN AGEAYg==\r\n", "\x16\x03\x01", "\r\n"} {
		c := dial(t, h.smtp)
		c.expect("220 ")
		c.send("STARTTLS\r\n" + rest)
		c.expect("503 5.5.1")
		c.expectEnd()
	}
	if n := len(h.backend.conns); n != 0 {
		t.Errorf("%d sessions began", n)
	}
}

func TestWhatWasSaidBeforeTLSIsForgotten(t *testing.T) {
	t.Parallel()
	c := newHouse(t, nil).dialStartTLS(t)
	c.say("MAIL FROM:<a@b.test>", "503 5.5.1 Send EHLO first")
	c.say("EHLO x", "250 ")
	c.say("STARTTLS", "503 5.5.1 TLS is already active")
	c.say("NOOP", "250 ")
}

func TestFailedHandshakeNeverFallsBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	c := dial(t, h.smtp)
	c.expect("220 ")
	c.say("STARTTLS", "220 ")
	c.send("EHLO again, in the clear\r\n")
	reply, _ := io.ReadAll(c.r)
	if bytes.Contains(reply, []byte("250")) || bytes.Contains(reply, []byte("550")) {
		t.Errorf("the session went on in the clear: %q", reply)
	}
	if log := h.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "TLS handshake failed") {
		t.Errorf("logged %q", log)
	}
}

func TestThePreambleEnds(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, send, want string }{
		{"with QUIT", "QUIT\r\n", "221 2.0.0"},
		{"at a line too long", "EHLO " + strings.Repeat("x", 600) + "\r\n", "500 5.5.2"},
		{"at a bare LF", "EHLO x\n", "500 5.5.2"},
		{"in time, in a line", "EHLO", "421 4.4.2"},
		{"in time, without a word", "", "421 4.4.2"},
	}
	h := newHouse(t, func(o *Options) { o.Timeouts.Preamble = 100 * time.Millisecond })
	for _, tt := range tests {
		c := dial(t, h.smtp)
		c.expect("220 ")
		c.send(tt.send)
		if got := c.expect(""); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: got %q, want %s", tt.name, got, tt.want)
		}
		c.expectEnd()
	}
}

func TestThePreambleHasABudget(t *testing.T) {
	t.Parallel()
	c := dial(t, newHouse(t, nil).smtp)
	c.expect("220 ")
	for range maxPreamble {
		c.say("NOOP", "250 ")
	}
	c.expect("421 4.7.0")
	c.expectEnd()
}

// The reply must come in one segment, or scanners miss the STARTTLS in it.
func TestEHLOIsAnsweredInOnePiece(t *testing.T) {
	t.Parallel()
	c := dial(t, newHouse(t, nil).smtp)
	c.expect("220 ")
	c.send("EHLO x\r\n")
	b := make([]byte, 4096)
	n, err := c.Read(b)
	if err != nil || !bytes.HasSuffix(b[:n], []byte("250 STARTTLS\r\n")) {
		t.Errorf("the first segment is %q, %v", b[:n], err)
	}
}

func FuzzPreamble(f *testing.F) {
	for _, seed := range []string{"EHLO x\r\nSTARTTLS\r\n", "STARTTLS\r\nEHLO x\r\n", "STARTTLS x\r\nQUIT\r\n", "\x16\x03\x01\x00", "GET / HTTP/1.1\r\n", "STARTTLS\n"} {
		f.Add([]byte(seed))
	}
	p := preamble{hostname: hostname}
	f.Fuzz(func(t *testing.T, input []byte) {
		l := &lines{r: bytes.NewReader(input)}
		for {
			line, err := l.next()
			if err != nil {
				return
			}
			text, next := p.command(line)
			if next == stepStartTLS && !strings.EqualFold(strings.TrimRight(line, " \t"), "STARTTLS") {
				t.Errorf("%q starts TLS", line)
			}
			if next == stepHTTP {
				return
			}
			if _, size := splitReply([]byte(text)); size != len(text) || size == 0 {
				t.Errorf("%q is answered with %q, which is not one reply", line, text)
			}
		}
	})
}
