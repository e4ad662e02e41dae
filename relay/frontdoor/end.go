package frontdoor

import (
	"io"
	"net"
	"strings"
	"time"
)

// lingerBytes is how much a client may still send after the end before it is cut off.
const lingerBytes = 1 << 20

// Abort answers with a reply such as "554 5.6.0 Bare CR in message" and closes. It is for
// a session that must not or cannot wait for the client: it may be called from within the
// reading of a body or from anywhere else, and does not block. Reads under way and to
// come give net.ErrClosed; what the server still writes is dropped. A reply that is none,
// such as the empty one, is not sent.
func (c *Conn) Abort(reply string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(reply)
}

// Leave answers with a reply and closes as Abort does, as soon as no transaction is open: a
// message under way is finished, and answered. The client is waited for no longer than grace,
// and the server for as long as it takes: who hears 421 while its message is being stored sends
// the message again.
func (c *Conn) Leave(reply string, grace time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaving = reply
	c.leaveWhileReading()
	time.AfterFunc(grace, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.overdue = true
		c.leaveWhileReading()
	})
}

// leaveWhileReading ends a session that only waits for the client, if it may; mu is held.
func (c *Conn) leaveWhileReading() {
	if c.reading && c.mayLeave() && c.readErr == nil {
		c.end(c.leaving)
	}
}

// mayLeave tells whether a session that is asked to leave has nothing to read any more; mu is held.
func (c *Conn) mayLeave() bool {
	return c.leaving != "" && (c.overdue || c.dialogue.idle())
}

// drain makes the session end as soon as no transaction is open, since the Door closes. It is the
// Door that knows for how long.
func (c *Conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaving = replyDraining
	c.leaveWhileReading()
}

// Close ends the session. What was said last is given Timeouts.Close to arrive; Close does
// not wait for that. It never fails.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end("")
	return nil
}

// end ends the session once, with a last reply or without; mu is held.
func (c *Conn) end(last string) {
	if c.readErr == nil {
		c.readErr = net.ErrClosed
	}
	if c.ended {
		return
	}
	c.ended = true
	// A reader under way is woken, and finds readErr.
	c.raw.SetReadDeadline(time.Unix(1, 0))
	go c.finish(last)
}

// finish says the last reply and closes, so that the client can read it: a socket closed
// with unread bytes would be reset, and take the reply with it.
func (c *Conn) finish(last string) {
	defer c.released()
	defer c.raw.Close()
	force := time.AfterFunc(c.options.Timeouts.Close, func() { c.raw.Close() })
	defer force.Stop()

	if !c.farewell(last) {
		return
	}
	c.readMu.Lock()
	defer c.readMu.Unlock()
	c.raw.SetReadDeadline(time.Time{})
	linger(c.raw)
}

// farewell writes the last reply and the end of TLS, and tells whether it could.
func (c *Conn) farewell(last string) bool {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if isReplyLine(last) {
		var r reply
		r.setText(strings.ReplaceAll(last, "%h", c.options.Hostname))
		c.unsent = r.appendTo(c.unsent)
	}
	if c.sendUnsent() != nil {
		return false
	}
	return c.tls.CloseWrite() == nil
}

// linger closes the writing half and waits until the client has closed its own, which the
// caller bounds by a deadline or by closing.
func linger(raw net.Conn) {
	half, ok := raw.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(raw, lingerBytes))
}
