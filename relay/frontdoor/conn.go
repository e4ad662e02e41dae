package frontdoor

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// maxSessionLine is the longest command line over TLS: an AUTH response of 12,288 octets
// (RFC 4954 §4) and the command around it.
const maxSessionLine = 12288 + maxCommand

// Conn is an encrypted connection. It is not a *tls.Conn, so that go-smtp leaves its
// handshake and its deadlines alone.
type Conn struct {
	*tls.Conn
	door    *Door
	service Service
	leave   func()
	started time.Time

	line    int    // bytes of the line that is being read
	pending []byte // read from the client and not yet handed on
	readErr error  // sticky: after an error nothing more is read
	partial []byte // reply lines that wait for the last one

	mu      sync.Mutex
	phase   phase
	reading bool // the server waits for the client
	content transfer
	close   sync.Once
}

func newConn(d *Door, encrypted *tls.Conn, service Service, leave func()) *Conn {
	c := &Conn{Conn: encrypted, door: d, service: service, leave: leave, started: time.Now()}
	if service == Submission {
		// The client was greeted before STARTTLS and must not be again (RFC 3207 §4.2).
		c.phase = swallowGreeting
	}
	return c
}

// Service is the port that the client came in by.
func (c *Conn) Service() string { return string(c.service) }

// Read hands on what the client sent, a line at the most: go-smtp must not have commands
// in its buffer that follow a QUIT.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.readLine(p)
	if n == 0 {
		return 0, err
	}
	return c.measure(p[:n])
}

func (c *Conn) readLine(p []byte) (int, error) {
	if len(c.pending) > 0 {
		return c.readPending(p)
	}
	n, err := c.receive(p)
	if end := bytes.IndexByte(p[:n], '\n'); end >= 0 && end+1 < n {
		c.pending = append([]byte(nil), p[end+1:n]...)
		n = end + 1
	}
	return n, err
}

// measure ends the session at a command line that is too long. Lines of a message may
// have any length: the session bounds its size.
func (c *Conn) measure(part []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line += len(part)
	if c.line > maxSessionLine && c.phase != content {
		c.endLocked("500 5.5.2 Line too long")
		return 0, io.EOF
	}
	if part[len(part)-1] == '\n' {
		c.line = 0
	}
	return len(part), nil
}

func (c *Conn) readPending(p []byte) (int, error) {
	if c.hasEnded() {
		return 0, io.EOF
	}
	n := len(c.pending)
	if end := bytes.IndexByte(c.pending, '\n'); end >= 0 {
		n = end + 1
	}
	n = copy(p, c.pending[:n])
	c.pending = c.pending[n:]
	return n, nil
}

func (c *Conn) hasEnded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase == ended
}

// receive reads from the client. An error is sticky: go-smtp reads on after some.
func (c *Conn) receive(p []byte) (int, error) {
	if c.readErr != nil {
		return 0, c.readErr
	}
	var deadline time.Time
	if deadline, c.readErr = c.startReading(); c.readErr != nil {
		return 0, c.readErr
	}
	if c.readErr = c.Conn.SetReadDeadline(deadline); c.readErr != nil {
		return 0, c.readErr
	}
	n, err := c.Conn.Read(p)
	c.readErr = c.doneReading(n, err)
	return n, c.readErr
}

func (c *Conn) startReading() (time.Time, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == ended {
		return time.Time{}, io.EOF
	}
	if c.phase == idle && c.door.isDraining() {
		c.endLocked(drainReply)
		return time.Time{}, io.EOF
	}
	c.reading = true
	now := time.Now()
	deadline := now.Add(c.door.options.Timeouts.Read)
	if c.phase == content {
		deadline = c.content.deadline(deadline)
	}
	if end := c.started.Add(c.door.options.Timeouts.Session); end.Before(deadline) {
		deadline = end
	}
	return deadline, nil
}

func (c *Conn) doneReading(n int, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = false
	c.content.received += n
	if c.phase == ended {
		return io.EOF
	}
	if err == nil && c.phase == content && time.Now().After(c.content.deadline(time.Now())) {
		return os.ErrDeadlineExceeded
	}
	return err
}

// Write gathers the lines of a reply, puts it right and sends it in one piece.
func (c *Conn) Write(p []byte) (int, error) {
	c.partial = append(c.partial, p...)
	for {
		end := replyEnd(c.partial)
		if end < 0 {
			return len(p), nil
		}
		reply := c.partial[:end]
		if err := c.reply(reply); err != nil {
			return 0, err
		}
		c.partial = append([]byte(nil), c.partial[end:]...)
	}
}

func (c *Conn) reply(raw []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == ended {
		return nil
	}
	if c.phase == swallowGreeting {
		c.phase = idle
		return nil
	}
	event := eventOf(raw)
	fixed := rewrite(raw, c.door.options.Hostname)
	if err := c.send(fixed); err != nil {
		return err
	}
	c.phase = c.phase.after(event)
	if c.phase == content {
		c.content = transfer{started: time.Now(), rate: c.door.options.Limits.MinRate, grace: c.door.options.Timeouts.Grace}
	}
	return nil
}

func (c *Conn) send(reply []byte) error {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(c.door.options.Timeouts.Write)); err != nil {
		return err
	}
	_, err := c.Conn.Write(reply)
	return err
}

// SetDeadline does nothing: the Conn owns time.
func (c *Conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing: the Conn owns time.
func (c *Conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: the Conn owns time.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }

var _ net.Conn = (*Conn)(nil)
