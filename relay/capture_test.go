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
	mu sync.Mutex
	// bodies are what came between 354 and the end of data, that included.
	bodies []string
	// strange are lines that no client of one message sends.
	strange []string
}

func newCapture(t *testing.T) *capture {
	t.Helper()
	ca := newAuthority(t)
	c := &capture{upstream: &upstream{ca: ca, username: "provider-user", password: rand.Text()}}
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
	say("220 provider.test ESMTP")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), " ")
		switch {
		case verb == "EHLO":
			say("250-provider.test\r\n250-8BITMIME\r\n250-PIPELINING\r\n250 AUTH PLAIN")
		case verb == "AUTH":
			say("235 2.7.0 Welcome")
		case verb == "RSET", verb == "MAIL", verb == "RCPT" && strings.HasPrefix(rest, "TO:<bob@example.net>"):
			say("250 2.0.0 OK")
		case verb == "DATA":
			say("354 Go ahead")
			c.keep(readWireBody(in))
			say("250 2.0.0 OK")
		case verb == "QUIT":
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

func (c *capture) keep(body string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies = append(c.bodies, body)
}

// captured returns what came so far.
func (c *capture) captured() (bodies, strange []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.bodies...), append([]string(nil), c.strange...)
}
