package frontdoor

import (
	"bytes"
	"errors"
	"io"
	"os"
	"time"
)

// Why a Conn ends a session by itself. %h is the relay's name.
const (
	replyIdle     = "421 4.4.2 %h closing: no command came in time"
	replySlow     = "421 4.4.2 %h closing: the message came too slowly"
	replyNoLogin  = "421 4.7.0 %h closing: no login came in time"
	replyTooLong  = "421 4.4.2 %h closing: the session has lasted too long"
	replyDraining = "421 4.3.2 %h is shutting down, try again"
	replyErrors   = "421 4.7.0 %h too many errors"
	replyCommands = "421 4.7.0 %h too many commands without a message"
)

// Read hands over what the client sent, never more than one line of commands at a time.
//
// Errors are sticky: once a read has failed, all do. A connection that was ended on this
// side gives net.ErrClosed, one that the client closed io.EOF, or io.ErrUnexpectedEOF
// when it had begun something.
func (c *Conn) Read(p []byte) (int, error) {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	from, err := c.beginRead()
	if err != nil {
		return 0, err
	}
	n, err := c.take(p)
	return c.endRead(p[:n], err, from)
}

// take gets bytes from what was kept back or from the client, and keeps back what is
// beyond the segment.
func (c *Conn) take(p []byte) (int, error) {
	body := c.inBody()
	if len(c.kept) > 0 {
		n := copy(p, c.kept[:segment(c.kept, body)])
		c.keep(c.kept[n:])
		return n, nil
	}
	if err := c.flush(); err != nil {
		return 0, err
	}
	n, err := c.tls.Read(p)
	if n == 0 {
		return 0, err
	}
	// An error that came with bytes comes again with the next read.
	cut := segment(p[:n], body)
	c.keep(append(c.kept[:0], p[cut:n]...))
	return cut, nil
}

// keep keeps bytes back for the next read.
func (c *Conn) keep(b []byte) {
	c.kept = b
	c.ahead.Store(bytes.IndexByte(b, '\n') >= 0)
}

func (c *Conn) inBody() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dialogue.body
}

// beginRead sets the deadline, unless there is nothing more to read.
func (c *Conn) beginRead() (time.Time, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.readErr == nil && c.mayLeave() {
		c.end(c.leaving)
	}
	if c.readErr != nil {
		return now, c.readErr
	}
	c.reading = true
	return now, c.raw.SetReadDeadline(c.pace.deadline(&c.dialogue, now))
}

// endRead accounts for what was read and decides what a failure means.
func (c *Conn) endRead(p []byte, err error, from time.Time) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = false
	now := time.Now()
	c.pace.got(len(p), from, now)
	c.command.took(p)
	fault := c.command.fault(&c.dialogue, c.options.Limits.Line)
	switch {
	case c.readErr != nil:
		return 0, c.readErr
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.end(c.lateReply(now))
	case err != nil:
		c.readErr = c.lost()
	case fault != "":
		c.end(fault)
	}
	if c.readErr != nil {
		return 0, c.readErr
	}
	return len(p), nil
}

// lateReply says which deadline has passed.
func (c *Conn) lateReply(now time.Time) string {
	switch {
	case c.mayLeave():
		return c.leaving
	case !c.dialogue.loggedIn && !now.Before(c.pace.loginEnd()):
		return replyNoLogin
	case !now.Before(c.pace.end(&c.dialogue)):
		return replyTooLong
	case c.dialogue.body:
		return replySlow
	}
	return replyIdle
}

// lost is the error for a client that went away. Many do so without a farewell of SMTP or
// TLS; that is an error only when something was left half done.
func (c *Conn) lost() error {
	if c.dialogue.body || c.command.length > 0 {
		return io.ErrUnexpectedEOF
	}
	return io.EOF
}
