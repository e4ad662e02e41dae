package relay_test

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// capture is a provider that keeps each message as it came over the wire. It takes every line
// for a command that it was not asked to take for content, as a server does that a message
// could be smuggled to.
type capture struct {
	*upstream
	// extensions are what it offers.
	extensions []string
	mu         sync.Mutex
	kept       []transmitted
	// strange are lines that no client of one message sends.
	strange []string
}

// transmitted is one message on the wire.
type transmitted struct {
	// envelope are the commands MAIL and RCPT.
	envelope []string
	// body is what came between 354 and the end of data, that included.
	body string
}

// lines are the whole transaction, without line ends.
func (m transmitted) lines() []string {
	return append(append(append([]string(nil), m.envelope...), "DATA"), strings.Split(strings.TrimSuffix(m.body, "\r\n"), "\r\n")...)
}

// newCapture takes the extensions to offer besides AUTH.
func newCapture(t *testing.T, extensions ...string) *capture {
	t.Helper()
	ca := newAuthority(t)
	c := &capture{extensions: extensions, upstream: &upstream{ca: ca, username: "provider-user", password: rand.Text()}}
	c.certificate = ca.sign(&x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*c.certificate}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	c.host, c.port = hostPort(t, l.Addr())
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				open.Go(func() { c.converse(conn) })
			}
		}
	})
	t.Cleanup(func() { _ = l.Close(); open.Wait() })
	return c
}

// converse answers a client until it leaves.
func (c *capture) converse(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	say := func(reply string) { _, _ = io.WriteString(conn, reply+"\r\n") }
	var message transmitted
	say("220 provider.test ESMTP")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		command := strings.TrimSuffix(line, "\r\n")
		verb, _, _ := strings.Cut(command, " ")
		switch verb {
		case "EHLO":
			say("250-" + strings.Join(append([]string{"provider.test"}, c.extensions...), "\r\n250-") + "\r\n250 AUTH PLAIN")
		case "AUTH":
			say("235 2.7.0 Welcome")
		case "MAIL":
			message = transmitted{envelope: []string{command}}
			say("250 2.1.0 OK")
		case "RCPT":
			message.envelope = append(message.envelope, command)
			say("250 2.1.5 OK")
		case "RSET":
			say("250 2.0.0 OK")
		case "DATA":
			say("354 Go ahead")
			message.body = readWireBody(in)
			c.keep(message)
			say("250 2.0.0 OK")
		case "QUIT":
			say("221 2.0.0 Bye")
			return
		default:
			c.mu.Lock()
			c.strange = append(c.strange, line)
			c.mu.Unlock()
			say("500 5.5.1 What?")
		}
	}
}

// readWireBody reads up to CRLF.CRLF and nothing else.
func readWireBody(in *bufio.Reader) string {
	var body strings.Builder
	for !strings.HasSuffix(body.String(), "\r\n.\r\n") && body.String() != ".\r\n" {
		line, err := in.ReadString('\n')
		body.WriteString(line)
		if err != nil {
			break
		}
	}
	return body.String()
}

func (c *capture) keep(m transmitted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = append(c.kept, m)
}

// messages are what came so far.
func (c *capture) messages() []transmitted {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]transmitted(nil), c.kept...)
}

// captured returns the bodies that came so far, and the lines that are no commands.
func (c *capture) captured() (bodies, strange []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.kept {
		bodies = append(bodies, m.body)
	}
	return bodies, append([]string(nil), c.strange...)
}
