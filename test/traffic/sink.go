package traffic

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// Drop is the answer of a Sink that closes the connection.
const Drop = "drop"

// Sink is an upstream that takes everything, without a look at who logs in.
type Sink struct {
	// TLS from the first byte; plaintext when nil.
	TLS *tls.Config
	// Answer replaces the reply to a command; empty keeps it. verb is GREETING, EHLO, AUTH,
	// MAIL, RCPT, DATA or END, which is the end of data. Called by many at once; may be nil.
	Answer func(verb string) string
	// Message is called with the content of each message before its reply, which it replaces
	// unless it returns nothing. The content is valid until it returns. Called by many at once;
	// when nil, content is read over.
	Message func(content []byte) string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]struct{}
	open     sync.WaitGroup
}

const sinkBuffer = 64 << 10

// Serve takes connections until Close.
func (s *Sink) Serve(l net.Listener) {
	s.mu.Lock()
	s.listener, s.conns = l, make(map[net.Conn]struct{})
	s.mu.Unlock()
	s.open.Go(func() {
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil || !s.admit(conn) {
				continue
			}
			s.open.Go(func() {
				s.converse(conn)
				_ = conn.Close()
				s.mu.Lock()
				defer s.mu.Unlock()
				delete(s.conns, conn)
			})
		}
	})
}

// admit keeps a connection where Close finds it.
func (s *Sink) admit(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		_ = conn.Close()
		return false
	}
	s.conns[conn] = struct{}{}
	return true
}

// Idle waits until nobody is connected: what clients sent before they were killed has come.
func (s *Sink) Idle() {
	for {
		s.mu.Lock()
		open := len(s.conns)
		s.mu.Unlock()
		if open == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// Close breaks off all connections and waits for their ends.
func (s *Sink) Close() {
	s.mu.Lock()
	_ = s.listener.Close()
	for conn := range s.conns {
		_ = conn.Close()
	}
	s.conns = nil
	s.mu.Unlock()
	s.open.Wait()
}

// conversation is one connection of a Sink.
type conversation struct {
	*Sink
	r      *bufio.Reader
	w      *bufio.Writer
	buffer []byte
}

func (s *Sink) converse(conn net.Conn) {
	if s.TLS != nil {
		conn = tls.Server(conn, s.TLS)
	}
	c := &conversation{Sink: s, r: bufio.NewReaderSize(conn, sinkBuffer), w: bufio.NewWriter(conn)}
	if !c.say("GREETING", "220 sink.test ESMTP") {
		return
	}
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil || !c.command(line) {
			return
		}
	}
}

// command answers one command. It reports whether the session goes on.
func (c *conversation) command(line []byte) bool {
	verb := line[:min(len(line), len("MAIL"))]
	switch string(bytes.ToUpper(verb)) {
	case "EHLO":
		return c.say("EHLO", "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES")
	case "AUTH":
		return c.say("AUTH", "235 2.7.0 Welcome")
	case "MAIL":
		return c.say("MAIL", "250 2.1.0 OK")
	case "RCPT":
		return c.say("RCPT", "250 2.1.5 OK")
	case "DATA":
		answer := c.answer("DATA", "354 Go ahead")
		return c.reply(answer) && (answer[0] != '3' || c.message())
	case "QUIT":
		c.say("QUIT", "221 2.0.0 Bye")
		return false
	}
	return c.say("", "250 2.0.0 OK")
}

func (c *conversation) say(verb, usual string) bool { return c.reply(c.answer(verb, usual)) }

// answer is what Answer wants, or the usual reply.
func (c *conversation) answer(verb, usual string) string {
	if c.Answer == nil {
		return usual
	}
	return cmp.Or(c.Answer(verb), usual)
}

// reply sends a line, together with others where more commands are at hand (RFC 2920 §3.2).
func (c *conversation) reply(line string) bool {
	if line == Drop {
		return false
	}
	_, _ = c.w.WriteString(line)
	_, _ = c.w.WriteString("\r\n")
	return c.r.Buffered() > 0 || c.w.Flush() == nil
}

// message reads content and answers its end. A DATA that was refused is followed by none.
func (c *conversation) message() bool {
	content, err := c.readContent()
	if err != nil {
		return false
	}
	if c.Message != nil {
		if other := c.Message(content); other != "" {
			return c.reply(other)
		}
	}
	return c.say("END", "250 2.0.0 OK")
}

// end is the end of data, with the line end before it.
var end = []byte("\r\n.\r\n")

// indexEnd is where the end of data begins in b, negative when it is not there. Dots are rarer
// than line ends.
func indexEnd(b []byte) int {
	for at := 0; ; at++ {
		i := bytes.IndexByte(b[at:], '.')
		if i < 0 {
			return -1
		}
		at += i
		if from := at - len("\r\n"); from >= 0 && bytes.HasPrefix(b[from:], end) {
			return from
		}
	}
}

// readContent reads up to the end of data. Dots stay doubled: no message of this package has
// a line that begins with one.
func (c *conversation) readContent() ([]byte, error) {
	// The end of data of an empty message has no line before it.
	c.buffer = append(c.buffer[:0], "\r\n"...)
	for {
		if _, err := c.r.Peek(1); err != nil {
			return nil, err
		}
		piece, _ := c.r.Peek(c.r.Buffered())
		from := max(0, len(c.buffer)-len(end)+1)
		c.buffer = append(c.buffer, piece...)
		if i := indexEnd(c.buffer[from:]); i >= 0 {
			over := len(c.buffer) - from - i - len(end)
			_, _ = c.r.Discard(len(piece) - over)
			return c.buffer[len("\r\n") : from+i+len("\r\n")], nil
		}
		_, _ = c.r.Discard(len(piece))
	}
}
