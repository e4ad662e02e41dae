package submission

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/message"
)

// Transport is a connection that the server can serve: already encrypted, and with an end
// that the session can bring about.
type Transport interface {
	net.Conn
	// ConnectionState is that of the TLS handshake, which is over.
	ConnectionState() tls.ConnectionState
	// Abort sends the reply, without its CRLF, and closes the connection. What is written
	// afterwards goes nowhere.
	Abort(reply string)
	// Leave does the same as soon as no transaction is open, or once the client has been waited
	// for that long within one. A message that has come to its end is answered first.
	Leave(reply string, grace time.Duration)
}

// serviceNamer is a Transport that knows the name of the listener it came from.
type serviceNamer interface{ Service() string }

// listener hands connections to go-smtp as conn.
type listener struct {
	net.Listener
	config func() *config.Config
}

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, config: l.config}, nil
}

// conn is a connection as go-smtp sees it: as it is, but for a bare CR in content and for
// the limits in the reply to EHLO. go-smtp reads and writes from one goroutine.
type conn struct {
	net.Conn
	config func() *config.Config
	// line is the command that was read last, which go-smtp does not show the session. The
	// front door hands over one at a time.
	line []byte
	// inContent is true while the session reads content.
	inContent bool
	afterCR   bool
	err       error
}

// Read implements net.Conn. Content ends with message.ErrBareCR behind a CR that no LF
// follows. The session would find it as well, but too late: go-smtp returns nothing before
// its buffer is full or it has seen the end of data, and it does not see one behind some
// bare CRs.
func (c *conn) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.Conn.Read(p)
	if !c.inContent {
		c.note(p[:n])
	} else if end := c.bareCR(p[:n]); end >= 0 {
		c.err = message.ErrBareCR
		return end, c.err
	}
	return n, err
}

// maxNoted is more than a command line can have.
const maxNoted = 32 << 10

// note remembers a command, or the next piece of it.
func (c *conn) note(p []byte) {
	if n := len(c.line); n > 0 && c.line[n-1] == '\n' || n > maxNoted {
		c.line = c.line[:0]
	}
	c.line = append(c.line, p...)
}

// bareCR returns where the content must end for its bare CR, -1 when it has none.
func (c *conn) bareCR(p []byte) int {
	if c.afterCR && len(p) > 0 {
		if p[0] != '\n' {
			return 0
		}
		c.afterCR = false
	}
	for at := 0; ; {
		i := bytes.IndexByte(p[at:], '\r')
		switch {
		case i < 0:
			return -1
		case at+i+1 == len(p):
			c.afterCR = true
			return -1
		case p[at+i+1] != '\n':
			return at + i
		}
		at += i + len("\r\n")
	}
}

// watch begins or ends the watch for a bare CR.
func (c *conn) watch(on bool) { c.inContent, c.afterCR = on, false }

// sizeLine is go-smtp's last line of a reply to EHLO, when it knows of no limit.
const sizeLine = "250 SIZE\r\n"

// Write implements net.Conn. It puts the limits in use into the reply to EHLO (RFC 1870,
// RFC 9422): go-smtp would announce those that it was made with.
func (c *conn) Write(p []byte) (int, error) {
	if string(p) != sizeLine {
		return c.Conn.Write(p)
	}
	limits := c.config().Message
	text := fmt.Sprintf("250-SIZE %d\r\n250 LIMITS RCPTMAX=%d\r\n", limits.MaxSize, limits.MaxRecipients)
	if _, err := c.Conn.Write([]byte(text)); err != nil {
		return 0, err
	}
	return len(p), nil
}
