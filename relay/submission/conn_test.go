package submission

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/message"
)

// readConn reads from a reader and keeps what is written.
type readConn struct {
	net.Conn // every other method is a nil call
	io.Reader
	written strings.Builder
}

func (c *readConn) Read(p []byte) (int, error)  { return c.Reader.Read(p) }
func (c *readConn) Write(p []byte) (int, error) { return c.written.Write(p) }

func TestConnEndsContentAtABareCR(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		in, want string
		bare     bool
	}{
		{"", "", false},
		{"a\r\nb\nc\r\n", "a\r\nb\nc\r\n", false},
		{"a\rb\r\n", "a", true},
		{"a\r\nb\r\r\nc", "a\r\nb", true},
		{"\r\r", "", true},
		{"a\r", "a\r", false},
	} {
		for name, src := range map[string]io.Reader{
			"at once":  strings.NewReader(tc.in),
			"in bytes": iotest.OneByteReader(strings.NewReader(tc.in)),
		} {
			c := &conn{Conn: &readConn{Reader: src}}
			c.watch(true)
			got, err := io.ReadAll(c)
			// In bytes the CR itself is out before it is known to be bare.
			if name == "in bytes" && tc.bare {
				got = got[:len(tc.want)]
			}
			if string(got) != tc.want || errors.Is(err, message.ErrBareCR) != tc.bare {
				t.Errorf("%s: %q became %q, %v", name, tc.in, got, err)
			}
			if _, again := c.Read(make([]byte, 1)); tc.bare && !errors.Is(again, message.ErrBareCR) {
				t.Errorf("%s: %q: reading on after the bare CR gives %v", name, tc.in, again)
			}
		}
	}
}

func TestConnLeavesCommandsAlone(t *testing.T) {
	t.Parallel()
	const in = "NOOP\r\r\nRSET\rX\r\n"
	c := &conn{Conn: &readConn{Reader: strings.NewReader(in)}}
	if got, err := io.ReadAll(c); err != nil || string(got) != in {
		t.Errorf("%q, %v", got, err)
	}
}

func TestConnAnnouncesTheLimitsInUse(t *testing.T) {
	t.Parallel()
	settings := &config.Config{Message: config.Message{MaxSize: 1000, MaxRecipients: 5}}
	out := &readConn{}
	c := &conn{Conn: out, config: func() *config.Config { return settings }}
	for _, line := range []string{"250-SMTPUTF8\r\n", "250 SIZE\r\n", "250 2.0.0 SIZE\r\n"} {
		if n, err := c.Write([]byte(line)); n != len(line) || err != nil {
			t.Errorf("Write = %d, %v", n, err)
		}
		settings = &config.Config{Message: config.Message{MaxSize: 2000, MaxRecipients: 6}}
	}
	const want = "250-SMTPUTF8\r\n250-SIZE 2000\r\n250 LIMITS RCPTMAX=6\r\n250 2.0.0 SIZE\r\n"
	if got := out.written.String(); got != want {
		t.Errorf("wrote %q, want %q", got, want)
	}
}

// TestEHLOReply guards that go-smtp says SIZE the way that conn looks for.
func TestEHLOReply(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.connect()
	c.send("EHLO client.test\r\n")
	offered := map[string]bool{}
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		offered[strings.TrimSpace(line[4:])] = true
		if line[3] == ' ' {
			break
		}
	}
	for _, want := range []string{"SIZE 65536", "LIMITS RCPTMAX=10", "AUTH PLAIN LOGIN SCRAM-SHA-256", "PIPELINING", "8BITMIME", "SMTPUTF8", "DSN"} {
		if !offered[want] {
			t.Errorf("%q is not offered: %v", want, offered)
		}
	}
	for _, no := range []string{"STARTTLS", "BINARYMIME", "REQUIRETLS"} {
		if offered[no] {
			t.Errorf("%q is offered", no)
		}
	}
}
