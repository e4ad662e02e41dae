package frontdoor

import (
	"io"
	"net"
	"time"
)

const (
	drainReply = "421 4.3.2 Service is going down, try again"
	// closeTime is how long a client gets to take the last reply.
	closeTime = time.Second
	// lingerBytes is how much of what a client still sends is read, so that the system
	// does not reset the connection before the client has read the last reply.
	lingerBytes = 1 << 20
)

// Abort sends a reply, given without CRLF, and ends the connection. Whatever the server
// writes after it is dropped. It is for a session that cannot go on reading a message,
// since go-smtp would wait for an end that it cannot see.
func (c *Conn) Abort(reply string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != ended {
		c.endLocked(reply)
	}
}

// drain ends the connection if the client is between two messages and the server waits.
func (c *Conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == idle && c.reading {
		c.endLocked(drainReply)
	}
}

// endLocked says the last word. The reader wakes up and finds the end.
func (c *Conn) endLocked(reply string) {
	c.phase = ended
	_ = c.Conn.SetWriteDeadline(time.Now().Add(closeTime))
	_, _ = io.WriteString(c.Conn, reply+"\r\n")
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0))
}

// Close ends the connection within a second, with what was written flushed.
func (c *Conn) Close() error {
	c.close.Do(func() {
		c.mu.Lock()
		c.phase = ended
		c.mu.Unlock()
		c.door.mu.Lock()
		delete(c.door.conns, c)
		c.door.mu.Unlock()
		go c.linger()
	})
	return nil
}

func (c *Conn) linger() {
	defer c.leave()
	defer c.Conn.Close()
	until := time.Now().Add(closeTime)
	_ = c.Conn.SetDeadline(until)
	if c.Conn.CloseWrite() != nil {
		return
	}
	raw := c.NetConn()
	if peeked, ok := raw.(peekedConn); ok {
		raw = peeked.Conn
	}
	if tcp, ok := raw.(*net.TCPConn); ok && tcp.CloseWrite() == nil {
		_ = tcp.SetReadDeadline(until)
		_, _ = io.CopyN(io.Discard, tcp, lingerBytes)
	}
}
