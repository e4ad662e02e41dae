package submission

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"
)

// dialWith opens a connection to the port with implicit TLS and says EHLO.
func (f *fixture) dialWith(config *tls.Config) *client {
	f.t.Helper()
	config.InsecureSkipVerify = true
	conn, err := tls.Dial("tcp", f.address, config)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	c := &client{t: f.t, conn: conn, in: bufio.NewReader(conn)}
	c.expect("220 ")
	c.do("EHLO client.test", "250 ")
	return c
}

// offered are the mechanisms in the reply to EHLO.
func (c *client) offered() string {
	c.t.Helper()
	c.send("EHLO client.test\r\n")
	mechanisms := ""
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			c.t.Fatal(err)
		}
		if text, ok := strings.CutPrefix(line[4:], "AUTH "); ok {
			mechanisms = strings.TrimSpace(text)
		}
		if line[3] == ' ' {
			return mechanisms
		}
	}
}

// scram logs in with a SCRAM client and returns the last reply. The client leaves the empty
// response to the server's signature to the caller when it does not trust the server.
func (c *client) scram(mechanism string, talk *scram.ClientConversation) string {
	c.t.Helper()
	message, err := talk.Step("")
	if err != nil {
		c.t.Fatal(err)
	}
	c.send("AUTH " + mechanism + " " + b64(message) + "\r\n")
	for {
		got := c.reply()
		encoded, ok := strings.CutPrefix(got, "334 ")
		if !ok {
			return got
		}
		challenge, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			c.t.Fatal(err)
		}
		if message, err = talk.Step(string(challenge)); err != nil {
			c.t.Fatalf("the client refuses %q: %v", challenge, err)
		}
		c.send(b64(message) + "\r\n")
	}
}

func scramClient(t testing.TB, user, password string) *scram.Client {
	t.Helper()
	c, err := scram.SHA256.NewClient(user, password, "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *client) expectReply(got, prefix string) {
	c.t.Helper()
	if !strings.HasPrefix(got, prefix) {
		c.t.Errorf("reply %q, want %q", got, prefix)
	}
}

func TestScramOnBothPorts(t *testing.T) {
	t.Parallel()
	f, submissions, submission := behindFrontDoor(t)
	f.address = submissions
	for port, open := range map[string]func() *client{
		"465": f.connect,
		"587": func() *client { return f.startTLS(submission) },
	} {
		t.Run(port, func(t *testing.T) {
			c := open()
			c.expectReply(c.scram("SCRAM-SHA-256", scramClient(t, testUser, "wrong").NewConversation()), "535 5.7.8 ")
			c.expectReply(c.scram("SCRAM-SHA-256", scramClient(t, "nobody", testPassword).NewConversation()), "535 5.7.8 ")
			c.do("MAIL FROM:<app@example.com>", "530 ")
			talk := scramClient(t, testUser, testPassword).NewConversation()
			c.expectReply(c.scram("SCRAM-SHA-256", talk), "235 2.7.0 ")
			if !talk.Valid() {
				t.Error("the server did not prove that it knows the user")
			}
			c.do("MAIL FROM:<app@example.com>", "250 ")
		})
	}
}

func TestScramIsNotOverBeforeTheClientAgrees(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.connect()
	talk := scramClient(t, testUser, testPassword).NewConversation()
	message, _ := talk.Step("")
	reply := c.do("AUTH SCRAM-SHA-256 "+b64(message), "334 ")
	challenge, _ := base64.StdEncoding.DecodeString(reply[4:])
	message, _ = talk.Step(string(challenge))
	c.do(b64(message), "334 ")
	c.do("*", "501 ")
	c.do("MAIL FROM:<app@example.com>", "530 ")
}

func TestScramPlusBindsToTheConnection(t *testing.T) {
	t.Parallel()
	f, submissions, _ := behindFrontDoor(t, func(f *fixture) { f.config.Users.ScramPlus = true })
	f.address = submissions
	const both = "PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS"
	binding := func(c *client) scram.ChannelBinding {
		state := c.conn.ConnectionState()
		b, err := scram.NewTLSExporterBinding(&state)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	u := scramClient(t, testUser, testPassword)

	c, other := f.connect(), f.connect()
	if got := c.offered(); got != both {
		t.Errorf("offered on TLS 1.3: %s", got)
	}
	c.expectReply(c.scram("SCRAM-SHA-256-PLUS", u.NewConversationWithChannelBinding(binding(other))), "535 5.7.8 ")
	c.expectReply(c.scram("SCRAM-SHA-256", u.NewConversationAdvertisingChannelBinding()), "535 5.7.8 ")
	c.expectReply(c.scram("SCRAM-SHA-256-PLUS", u.NewConversationWithChannelBinding(binding(c))), "235 2.7.0 ")
	other.expectReply(other.scram("SCRAM-SHA-256", u.NewConversation()), "235 2.7.0 ")

	old := f.dialWith(&tls.Config{MaxVersion: tls.VersionTLS12})
	if got := old.offered(); got != "PLAIN LOGIN SCRAM-SHA-256" {
		t.Errorf("offered on TLS 1.2: %s", got)
	}
	old.expectReply(old.scram("SCRAM-SHA-256", u.NewConversationAdvertisingChannelBinding()), "235 2.7.0 ")
}

func TestScramPlusIsOffUnlessAskedFor(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.connect()
	if got := c.offered(); got != "PLAIN LOGIN SCRAM-SHA-256" {
		t.Errorf("offered: %s", got)
	}
	c.do("AUTH SCRAM-SHA-256-PLUS", "504 5.5.4 ")
}
