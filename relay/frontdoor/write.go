package frontdoor

import (
	"bytes"
	"strings"
	"time"
)

// Write takes what the server says. Lines of a reply are gathered until its last, then
// the reply goes out, corrected, in one piece. After the end, all is taken and dropped.
func (c *Conn) Write(p []byte) (int, error) {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	c.partial = append(c.partial, p...)
	for {
		lines, size := splitReply(c.partial)
		if size == 0 {
			return len(p), nil
		}
		c.partial = c.partial[size:]
		if err := c.answer(parseReply(lines)); err != nil {
			return 0, err
		}
	}
}

// splitReply returns the lines of the first whole reply in b and its length in bytes, or
// nothing. A line that belongs to no reply is dropped with it: it could only confuse a
// client.
func splitReply(b []byte) (lines []string, size int) {
	for {
		end := bytes.IndexByte(b[size:], '\n')
		if end < 0 {
			return nil, 0
		}
		line := strings.TrimRight(string(b[size:size+end]), "\r")
		size += end + 1
		if !isReplyLine(line) {
			continue
		}
		lines = append(lines, line)
		if line[3] == ' ' {
			return lines, size
		}
	}
}

// answer sends a reply of the server, corrected, and notes what it means. Replies that may be
// grouped wait while the client's next command is at hand. A server's greeting is not sent after
// STARTTLS: the client had one before (RFC 3207 §4.2).
func (c *Conn) answer(r reply) error {
	meant := correct(&r, c.options.Hostname)
	swallow, end, groups := c.noteReply(r.code, meant)
	if swallow {
		return nil
	}
	c.unsent = r.appendTo(c.unsent)
	var err error
	if !groups || !c.ahead.Load() || len(c.unsent) > maxUnsent {
		err = c.sendUnsent()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pace.reset(time.Now())
	switch {
	case err != nil:
		c.end("")
	case end:
		c.end("")
	case c.dialogue.errors > c.options.Limits.Errors:
		c.end(replyErrors)
	case c.dialogue.commands > c.options.Limits.Commands:
		c.end(replyCommands)
	}
	return err
}

// noteReply updates the dialogue before the client can react to the reply. A reply that
// is not to be sent, because it is a second greeting or the session has ended, is
// swallowed. One that groups may be sent together with the next.
func (c *Conn) noteReply(code int, meant effect) (swallow, end, groups bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	greeting := !c.dialogue.greeted && code == 220 && c.service == Submission
	groups = c.command.groups(&c.dialogue)
	c.dialogue.replied(code, meant)
	c.command.answered()
	return greeting || c.ended, c.dialogue.over, groups && !c.dialogue.over
}

// maxUnsent is how much may wait to be sent.
const maxUnsent = 4 << 10

// flush sends the replies that wait: the client may wait for them before it says more.
func (c *Conn) flush() error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	return c.sendUnsent()
}

// sendUnsent sends the replies that wait; writeMu is held.
func (c *Conn) sendUnsent() error {
	if len(c.unsent) == 0 {
		return nil
	}
	err := c.send(c.unsent)
	c.unsent = c.unsent[:0]
	return err
}

// send writes to the client; writeMu is held.
func (c *Conn) send(b []byte) error {
	if err := c.raw.SetWriteDeadline(time.Now().Add(c.options.Timeouts.Write)); err != nil {
		return err
	}
	_, err := c.tls.Write(b)
	return err
}
