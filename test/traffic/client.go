package traffic

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"time"
)

// patience is how long a session may take to open, and a message to be submitted.
const patience = time.Minute

// Target is the server that clients submit to, on a port with TLS from the first byte.
type Target struct {
	Address        string
	TLS            *tls.Config
	User, Password string
	// Pipelining sends the envelope of a message and DATA together (RFC 2920).
	Pipelining bool
}

// Client is a session with a server, used by one goroutine at a time. It sends each command
// after the reply to the one before, as most programs do that send mail, unless told to
// pipeline.
type Client struct {
	conn      *tls.Conn
	r         *bufio.Reader
	pipelines bool
}

// ReplyError is a reply that refuses a command.
type ReplyError struct{ Line string }

func (e *ReplyError) Error() string { return "refused: " + e.Line }

// Dial opens a session and logs in with PLAIN.
func Dial(ctx context.Context, t Target) (*Client, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", t.Address)
	if err != nil {
		return nil, err
	}
	c := &Client{conn: tls.Client(raw, t.TLS), pipelines: t.Pipelining}
	c.r = bufio.NewReader(c.conn)
	if err := c.open(t); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return c, nil
}

func (c *Client) open(t Target) error {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if err := c.reply("220"); err != nil {
		return err
	}
	if err := c.command("EHLO client.test\r\n", "250"); err != nil {
		return err
	}
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + t.User + "\x00" + t.Password))
	return c.command("AUTH PLAIN "+plain+"\r\n", "235")
}

// Send submits a message, within patience. After nil the server has taken it, after a *ReplyError it has not;
// any other error leaves that open.
func (c *Client) Send(content []byte) error {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if err := c.envelope(); err != nil {
		return err
	}
	// In one write, so that the end of data is no packet of its own.
	if err := c.write(append(content, ".\r\n"...)); err != nil {
		return err
	}
	return c.reply("250")
}

// steps come before the content of a message.
var steps = []struct{ command, want string }{
	{"MAIL FROM:<" + Sender + ">\r\n", "250"}, {"RCPT TO:<" + Recipient + ">\r\n", "250"}, {"DATA\r\n", "354"},
}

func (c *Client) envelope() error {
	if c.pipelines {
		if err := c.write([]byte(steps[0].command + steps[1].command + steps[2].command)); err != nil {
			return err
		}
	}
	for _, step := range steps {
		if !c.pipelines {
			if err := c.write([]byte(step.command)); err != nil {
				return err
			}
		}
		if err := c.reply(step.want); err != nil {
			return err
		}
	}
	return nil
}

// Quit ends the session.
func (c *Client) Quit() error {
	return errors.Join(c.command("QUIT\r\n", "221"), c.Close())
}

// LocalAddr is where the client connected from.
func (c *Client) LocalAddr() string { return c.conn.LocalAddr().String() }

// Close breaks the session off.
func (c *Client) Close() error { return c.conn.NetConn().Close() }

func (c *Client) command(line, want string) error {
	if err := c.write([]byte(line)); err != nil {
		return err
	}
	return c.reply(want)
}

func (c *Client) write(b []byte) error {
	_, err := c.conn.Write(b)
	return err
}

// reply reads a reply of any number of lines.
func (c *Client) reply(want string) error {
	for {
		line, err := c.r.ReadSlice('\n')
		switch {
		case err != nil:
			return err
		case len(line) < len("250 ") || line[3] != ' ' && line[3] != '-':
			return fmt.Errorf("malformed reply %q", line)
		case line[3] == '-':
			continue
		case string(line[:3]) != want:
			return &ReplyError{string(line)}
		}
		return nil
	}
}
