//go:build attack

package attack

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// upstream is a provider that keeps what it is sent. It takes every line for a command that it
// did not ask for as content, as a server does that a message could be smuggled to.
type upstream struct {
	mode               config.TLSMode
	pair               *pair
	username, password string
	listener           net.Listener
	// offer are the lines of its EHLO reply, in plaintext and inside TLS.
	offer string
	// startTLS is what it sends as the reply to STARTTLS, and whether a handshake follows.
	startTLS  string
	handshake bool
	// stranger is shown instead of the certificate that the relay trusts.
	stranger *pair
	// plaintext leaves TLS out where it should come first.
	plaintext bool
	// verdict is the reply to a recipient whose local part is "bounce".
	verdict string

	mu          sync.Mutex
	connections int
	commands    []string
	bodies      []string
}

// newUpstream makes an honest provider with TLS from the first byte, and lets a test change it.
func newUpstream(t *testing.T, changes ...func(*upstream)) *upstream {
	t.Helper()
	u := &upstream{
		mode: config.TLSImplicit, pair: newPair(t, "provider.test"), username: "provider-user", password: rand.Text(),
		offer:    "250-provider.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n",
		startTLS: "220 2.0.0 Go ahead\r\n", handshake: true, verdict: "550 5.1.1 No such user",
	}
	for _, change := range changes {
		change(u)
	}
	var err error
	if u.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := u.listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				open.Go(func() { u.converse(conn) })
			}
		}
	})
	t.Cleanup(func() {
		_ = u.listener.Close()
		open.Wait()
	})
	return u
}

func (u *upstream) hostPort() (string, int) {
	address := u.listener.Addr().(*net.TCPAddr)
	return address.IP.String(), address.Port
}

func (u *upstream) secure(conn net.Conn) net.Conn {
	shown := u.pair
	if u.stranger != nil {
		shown = u.stranger
	}
	return tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{shown.Certificate}, MinVersion: tls.VersionTLS12})
}

// converse answers a client until it leaves. The relay's end ends it at the latest.
func (u *upstream) converse(conn net.Conn) {
	defer conn.Close()
	u.mu.Lock()
	u.connections++
	u.mu.Unlock()
	if u.mode == config.TLSImplicit && !u.plaintext {
		conn = u.secure(conn)
	}
	in := bufio.NewReader(conn)
	_, _ = io.WriteString(conn, "220 provider.test ESMTP\r\n")
	recipients := 0
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		u.keep(&u.commands, strings.TrimSuffix(line, "\r\n"))
		verb, _, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		reply := u.answer(verb, line)
		if verb == "DATA" && recipients == 0 {
			reply = "554 5.5.1 No valid recipients\r\n"
		}
		_, _ = io.WriteString(conn, reply)
		switch verb {
		case "MAIL", "RSET":
			recipients = 0
		case "RCPT":
			if reply[0] == '2' {
				recipients++
			}
		case "STARTTLS":
			if u.handshake {
				conn = u.secure(conn)
				in = bufio.NewReader(conn)
			}
		case "DATA":
			if recipients == 0 {
				continue
			}
			u.keep(&u.bodies, readBody(in))
			_, _ = io.WriteString(conn, "250 2.0.0 OK\r\n")
		case "QUIT":
			return
		}
	}
}

func (u *upstream) answer(verb, line string) string {
	switch verb {
	case "EHLO":
		return u.offer
	case "STARTTLS":
		return u.startTLS
	case "AUTH":
		return "235 2.7.0 Welcome\r\n"
	case "RCPT":
		if strings.Contains(line, "<bounce") {
			return u.verdict + "\r\n"
		}
		return "250 2.1.5 OK\r\n"
	case "MAIL", "RSET":
		return "250 2.0.0 OK\r\n"
	case "DATA":
		return "354 Go ahead\r\n"
	case "QUIT":
		return "221 2.0.0 Bye\r\n"
	}
	return "500 5.5.1 What?\r\n"
}

// readBody reads up to CRLF.CRLF and nothing else.
func readBody(in *bufio.Reader) string {
	var body strings.Builder
	previous := "\r\n"
	for {
		line, err := in.ReadString('\n')
		body.WriteString(line)
		if err != nil || line == ".\r\n" && strings.HasSuffix(previous, "\r\n") {
			return body.String()
		}
		previous = line
	}
}

func (u *upstream) keep(list *[]string, text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	*list = append(*list, text)
}

// captured is what came so far.
func (u *upstream) captured() (commands, bodies []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]string(nil), u.commands...), append([]string(nil), u.bodies...)
}

// came counts the connections so far.
func (u *upstream) came() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.connections
}

// waitFor waits until n messages came, and returns all that came then.
func (u *upstream) waitFor(t testing.TB, n int) (commands, bodies []string) {
	t.Helper()
	waitFor(t, "the messages are delivered", func() bool {
		_, bodies := u.captured()
		return len(bodies) >= n
	})
	return u.captured()
}
