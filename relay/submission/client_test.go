package submission

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

// client is an SMTP client that sends just what the test says.
type client struct {
	t    testing.TB
	conn *tls.Conn
	in   *bufio.Reader
}

// connect opens a connection and says EHLO.
func (f *fixture) connect() *client {
	f.t.Helper()
	c, err := net.DialTimeout("tcp", f.address, 5*time.Second)
	if err != nil {
		f.t.Fatal(err)
	}
	cl := f.encrypt(c)
	cl.expect("220 ")
	cl.do("EHLO client.test", "250 ")
	return cl
}

// encrypt begins TLS on a connection.
func (f *fixture) encrypt(c net.Conn) *client {
	return f.encryptWith(c, &tls.Config{InsecureSkipVerify: true})
}

func (f *fixture) encryptWith(c net.Conn, config *tls.Config) *client {
	conn := tls.Client(c, config)
	f.t.Cleanup(func() { _ = c.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{t: f.t, conn: conn, in: bufio.NewReader(conn)}
}

// login opens a connection and logs in.
func (f *fixture) login() *client {
	f.t.Helper()
	c := f.connect()
	c.do("AUTH PLAIN "+plainResponse("", testUser, testPassword), "235 ")
	return c
}

func plainResponse(identity, user, password string) string {
	return b64(identity + "\x00" + user + "\x00" + password)
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, s); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// reply reads one reply and returns its last line.
func (c *client) reply() string {
	c.t.Helper()
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			c.t.Fatalf("read a reply: %v (got %q)", err, line)
		}
		if len(line) > 3 && line[3] == '-' {
			continue
		}
		return strings.TrimRight(line, "\r\n")
	}
}

func (c *client) expect(prefix string) string {
	c.t.Helper()
	got := c.reply()
	if !strings.HasPrefix(got, prefix) {
		c.t.Fatalf("reply %q, want %q", got, prefix)
	}
	return got
}

// do sends a line and wants a reply that starts with prefix.
func (c *client) do(line, prefix string) string {
	c.t.Helper()
	c.send(line + "\r\n")
	return c.expect(prefix)
}

// begin opens a transaction up to the 354.
func (c *client) begin() {
	c.t.Helper()
	c.do("MAIL FROM:<app@example.com>", "250 ")
	c.do("RCPT TO:<bob@example.net>", "250 ")
	c.do("DATA", "354 ")
}

// expectClosed wants the server to have closed the connection.
func (c *client) expectClosed() {
	c.t.Helper()
	rest, err := io.ReadAll(c.in)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatal("the connection is still open")
	}
	if len(rest) > 0 {
		c.t.Errorf("after the last reply came %q", rest)
	}
}
