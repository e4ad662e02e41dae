package frontdoor

import (
	"bytes"
	"slices"
)

// Why a command is not handed over, and nothing after it.
const (
	replyLine     = "500 5.5.2 Line too long, closing"
	replySASLLine = "500 5.5.6 Authentication line too long, closing"
	replyBareLF   = "500 5.5.2 Lines must end with CR LF, closing"
	replyBDAT     = "502 5.5.1 BDAT is not offered, closing"
)

// command is what was read since the server's last reply: outside of a body, a line or the
// beginning of one.
type command struct {
	length int
	// start is as much as it takes to know BDAT.
	start []byte
	// last is the last byte; it stays when the server has replied.
	last   byte
	bareLF bool
}

// took adds what was read.
func (c *command) took(p []byte) {
	if len(p) == 0 {
		return
	}
	before := c.last
	if len(p) > 1 {
		before = p[len(p)-2]
	}
	c.length += len(p)
	c.start = append(c.start, p[:min(len(p), len("BDAT ")-len(c.start))]...)
	c.last = p[len(p)-1]
	// p has one LF at most, at its end.
	c.bareLF = c.last == '\n' && before != '\r'
}

// answered begins the next command.
func (c *command) answered() { c.length, c.start = 0, c.start[:0] }

// fault is the last word to a client whose command cannot be handed over, or empty.
func (c *command) fault(d *dialogue, longest int) string {
	switch {
	case d.body:
		return ""
	case c.bareLF:
		// The server would take it for the end of a command, against RFC 5321 §2.3.8.
		return replyBareLF
	case d.challenge && c.length > longest:
		return replySASLLine
	case c.length > longest:
		return replyLine
	case !d.challenge && c.isBDAT():
		return replyBDAT
	}
	return ""
}

// groups tells whether the reply to the command may wait for that to the next one: RFC 2920
// §3.2 wants it of RSET, MAIL and RCPT, and forbids it of all others. The reply to a body, too,
// leaves at once: a client that does not get it sends the message again.
func (c *command) groups(d *dialogue) bool {
	if d.body || d.challenge || len(c.start) < 4 {
		return false
	}
	return slices.ContainsFunc(grouped, func(verb []byte) bool { return bytes.EqualFold(c.start[:4], verb) })
}

var grouped = [][]byte{[]byte("RSET"), []byte("MAIL"), []byte("RCPT")}

// isBDAT tells whether the command begins as BDAT does (RFC 3030 §2). go-smtp cannot be told
// not to take it, commits a chunk that was cut off, and takes one for commands when it cannot
// read its size. A client that was not offered CHUNKING has no business with it.
func (c *command) isBDAT() bool {
	return len(c.start) == len("BDAT ") && bytes.EqualFold(c.start[:4], []byte("BDAT")) &&
		(c.start[4] == ' ' || c.start[4] == '\r')
}
