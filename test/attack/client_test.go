//go:build attack

package attack

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// What a reply is when there is none.
const (
	closed = "closed without a word"
	silent = "left without an answer"
)

// patience is how long a client waits at most, on a machine that does other things too.
const patience = 30 * time.Second

// soon is how long a client waits where the relay must close at once.
const soon = 5 * time.Second

// ports are those of the relay, by the number that each has in the world.
var ports = []string{"465", "587"}

// client is one side of a dialogue that says whatever it likes.
type client struct {
	net.Conn
	in *bufio.Reader
}

func newClient(conn net.Conn) *client {
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &client{Conn: conn, in: bufio.NewReader(conn)}
}

// connect opens a TCP connection from the nth address of an attacker, or from 127.0.0.1 when
// n is zero.
func (r *relay) connect(t testing.TB, port string, n int) *client {
	t.Helper()
	from := &net.TCPAddr{IP: net.IPv4(127, 0, byte(n/250), byte(1+n%250))}
	conn, err := (&net.Dialer{LocalAddr: from, Timeout: patience}).Dial("tcp", r.address[port])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return newClient(conn)
}

// open is connect, up to the reply to an EHLO inside TLS.
func (r *relay) open(t testing.TB, port string, n int) *client {
	t.Helper()
	c := r.connect(t, port, n)
	if port == "587" {
		c.reply()
		c.expect(t, "STARTTLS", "220 ")
	}
	c = newClient(tls.Client(c.Conn, r.tlsConfig()))
	if port == "465" {
		c.reply()
	}
	c.expect(t, "EHLO attacker.test", "250 ")
	return c
}

// login is open, and a login as a user with its right password.
func (r *relay) login(t testing.TB, port, user string, n int) *client {
	t.Helper()
	c := r.open(t, port, n)
	c.expect(t, "AUTH PLAIN "+plain("", user, r.password), "235 ")
	return c
}

// begin starts a message, up to 354.
func (c *client) begin(t testing.TB) {
	t.Helper()
	c.expect(t, "MAIL FROM:<app@example.com>", "250 ")
	c.expect(t, "RCPT TO:<bob@example.net>", "250 ")
	c.expect(t, "DATA", "354 ")
}

// submit sends one message and returns the reply to it.
func (c *client) submit(t testing.TB, content string) string {
	t.Helper()
	c.begin(t)
	return c.say(content + "\r\n.")
}

// expect is say, and stops the test at another reply.
func (c *client) expect(t testing.TB, line, want string) {
	t.Helper()
	if reply := c.say(line); !strings.HasPrefix(reply, want) {
		t.Fatalf("%.100q is answered with %q, want %q", line, reply, want)
	}
}

// say sends a line and returns the reply.
func (c *client) say(line string) string {
	c.send(line + "\r\n")
	return c.reply()
}

// send writes to a relay that may have closed already, as the next reply then tells.
func (c *client) send(text string) { _, _ = io.WriteString(c, text) }

// reply is the last line of the next reply.
func (c *client) reply() string {
	for {
		line, err := c.in.ReadString('\n')
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return silent
		case err != nil:
			return closed
		case len(line) < 4 || line[3] != '-':
			return strings.TrimRight(line, "\r\n")
		}
	}
}

// rest is what the relay says until it closes; ends tells whether it does within the limit.
func (c *client) rest(limit time.Duration) (text string, ends bool) {
	_ = c.SetReadDeadline(time.Now().Add(limit))
	all, err := io.ReadAll(c.in)
	return string(all), !errors.Is(err, os.ErrDeadlineExceeded)
}

// lastReply is the last line that the relay says before it closes.
func (c *client) lastReply(limit time.Duration) string {
	text, ends := c.rest(limit)
	lines := strings.Split(strings.TrimRight(text, "\r\n"), "\n")
	switch last := lines[len(lines)-1]; {
	case !ends:
		return silent
	case last == "":
		return closed
	default:
		return strings.TrimRight(last, "\r")
	}
}

func plain(authzid, user, password string) string {
	return encode64(authzid + "\x00" + user + "\x00" + password)
}

func encode64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
