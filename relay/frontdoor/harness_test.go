package frontdoor

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/prometheus/client_golang/prometheus"
)

const hostname = "relay.test"

// house is a Door with go-smtp behind it.
type house struct {
	*Door
	backend     *backend
	log         *lockedBuffer
	certificate atomic.Pointer[tls.Certificate]
	smtps, smtp string
}

func newHouse(t testing.TB, change func(*Options)) *house {
	t.Helper()
	h := &house{backend: newBackend(), log: &lockedBuffer{}}
	h.certificate.Store(newCertificate(t))
	options := Options{
		Hostname:       hostname,
		Submissions:    listen(t),
		Submission:     listen(t),
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return h.certificate.Load(), nil },
		Logger:         slog.New(slog.NewTextHandler(h.log, nil)),
		Registerer:     prometheus.NewRegistry(),
	}
	if change != nil {
		change(&options)
	}
	h.smtps, h.smtp = options.Submissions.Addr().String(), options.Submission.Addr().String()
	door, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	h.Door = door
	server := newServer(h.backend, h.log)
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(door)
	}()
	t.Cleanup(func() {
		door.Close()
		<-served
	})
	return h
}

// newServer is go-smtp as it must be set up behind a Door.
func newServer(b smtp.Backend, logTo io.Writer) *smtp.Server {
	server := smtp.NewServer(b)
	server.Domain = hostname
	server.AllowInsecureAuth = true
	server.MaxLineLength = 0
	server.ErrorLog = log.New(logTo, "", 0)
	return server
}

type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newCertificate(t testing.TB) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: hostname},
		DNSNames:     []string{hostname},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// client is a connection that a test talks over by hand.
type client struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func newClient(t testing.TB, conn net.Conn) *client {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{conn, t, bufio.NewReader(conn)}
}

func dial(t testing.TB, address string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, conn)
}

// dialTLS is a client of port 465 that has been greeted.
func (h *house) dialTLS(t testing.TB) *client {
	t.Helper()
	conn, err := tls.Dial("tcp", h.smtps, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, conn)
	c.expect("220 " + hostname)
	return c
}

// dialStartTLS is a client of port 587 right after the handshake.
func (h *house) dialStartTLS(t testing.TB) *client {
	t.Helper()
	c := dial(t, h.smtp)
	c.expect("220 " + hostname)
	c.say("EHLO client.test", "250 STARTTLS")
	c.say("STARTTLS", "220 2.0.0")
	encrypted := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	if err := encrypted.Handshake(); err != nil {
		t.Fatal(err)
	}
	return newClient(t, encrypted)
}

// expect reads one reply, whose last line must begin with prefix, and returns it with its
// lines joined by "|".
func (c *client) expect(prefix string) string {
	c.t.Helper()
	var lines []string
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("want a reply %q, got %q and %v", prefix, lines, err)
		}
		lines = append(lines, strings.TrimSuffix(line, "\r\n"))
		if len(line) < 4 || line[3] != '-' {
			break
		}
	}
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, prefix) {
		c.t.Fatalf("got the reply %q, want %q", lines, prefix)
	}
	return strings.Join(lines, "|")
}

func (c *client) say(line, want string) string {
	c.t.Helper()
	c.send(line + "\r\n")
	return c.expect(want)
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Fatal(err)
	}
}

// beginData brings the session to where a body is awaited.
func (c *client) beginData() {
	c.t.Helper()
	c.say("EHLO client.test", "250 ")
	c.say("MAIL FROM:<a@b.test>", "250 2.1.0")
	c.say("RCPT TO:<c@d.test>", "250 2.1.5")
	c.say("DATA", "354 ")
}

// expectEnd wants the connection closed without another word.
func (c *client) expectEnd() {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() || len(rest) > 0 {
		c.t.Fatalf("want the connection closed without a word, got %q and %v", rest, err)
	}
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within 10 s: %s", what)
}
