package frontdoor

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

const hostname = "relay.test"

// backend accepts everything and hands each message to the test.
type backend struct {
	messages chan string
	abort    string // when set, said instead of reading a message
}

func (b *backend) NewSession(c *smtp.Conn) (smtp.Session, error) { return &session{b, c}, nil }

type session struct {
	*backend
	conn *smtp.Conn
}

func (s *session) Mail(string, *smtp.MailOptions) error { return nil }
func (s *session) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s *session) Reset()                               {}
func (s *session) Logout() error                        { return nil }
func (s *session) AuthMechanisms() []string             { return []string{sasl.Plain} }
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(string, string, string) error { return nil }), nil
}

func (s *session) Data(r io.Reader) error {
	if s.abort != "" {
		s.conn.Conn().(*Conn).Abort(s.abort)
		return errors.New("aborted")
	}
	content, err := io.ReadAll(r)
	if err == nil {
		s.messages <- string(content)
	}
	return err
}

// house is a door with go-smtp behind it.
type house struct {
	*Door
	backend     *backend
	log         *lockedBuffer
	certificate atomic.Pointer[tls.Certificate]
	smtps, smtp string
}

func newHouse(t *testing.T, change func(*Options)) *house {
	t.Helper()
	h := &house{backend: &backend{messages: make(chan string, 100)}, log: &lockedBuffer{}}
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
	server := smtp.NewServer(h.backend)
	server.Domain = "behind.test"
	server.AllowInsecureAuth = true
	server.MaxLineLength = 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(door)
	}()
	t.Cleanup(func() {
		door.Close()
		<-done
	})
	return h
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newCertificate(t *testing.T) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: hostname}, DNSNames: []string{hostname},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// client is one connection that a test talks over by hand.
type client struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func newClient(t *testing.T, conn net.Conn) *client {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{conn, t, bufio.NewReader(conn)}
}

func dial(t *testing.T, address string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, conn)
}

func (h *house) dialTLS(t *testing.T) *client {
	t.Helper()
	conn, err := tls.Dial("tcp", h.smtps, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, conn)
	c.expect("220 ")
	return c
}

func (h *house) dialStartTLS(t *testing.T) *client {
	t.Helper()
	c := dial(t, h.smtp)
	c.expect("220 " + hostname)
	c.say("EHLO client.test", "250 ")
	c.say("STARTTLS", "220 2.0.0")
	encrypted := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	if err := encrypted.Handshake(); err != nil {
		t.Fatal(err)
	}
	return newClient(t, encrypted)
}

// expect reads one reply and returns it, with its lines joined by "|".
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

func (c *client) expectEnd() {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() || len(rest) > 0 {
		c.t.Fatalf("want the connection closed without a word, got %q and %v", rest, err)
	}
}

func TestBothPortsDeliverAMessage(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	ports := map[string]func(*testing.T) *client{"465": h.dialTLS, "587": h.dialStartTLS}
	for name, dial := range ports {
		t.Run(name, func(t *testing.T) {
			c := dial(t)
			hello := c.say("EHLO client.test", "250 ")
			if !strings.HasPrefix(hello, "250-"+hostname+"|") || strings.Contains(hello, "CHUNKING") || strings.Contains(hello, "STARTTLS") {
				t.Errorf("EHLO says %q", hello)
			}
			c.send("MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n")
			c.expect("250 2.1.0")
			c.expect("250 2.1.5")
			c.expect("354 ")
			c.say("Subject: x\r\n\r\n..dot\r\n.", "250 2.0.0")
			if got := <-h.backend.messages; got != "Subject: x\r\n\r\n.dot\r\n" {
				t.Errorf("got the message %q", got)
			}
			c.say("QUIT", "221 2.0.0")
			c.expectEnd()
		})
	}
}

func TestOnlyEncryptedConnectionsComeOut(t *testing.T) {
	t.Parallel()
	door, err := New(Options{
		Hostname: hostname, Submissions: listen(t), Submission: listen(t),
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return newCertificate(t), nil },
		Timeouts:       Timeouts{Silence: 50 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 10)
	go func() {
		for {
			conn, err := door.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- conn
		}
	}()
	for _, opening := range []string{"", "EHLO x\r\n", "STARTTLS\r\n", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01garbage", "STARTTLS\r\nEHLO x\r\nAUTH PLAIN AGEAYg==\r\n"} {
		for _, listener := range []net.Listener{door.options.Submissions, door.options.Submission} {
			c := dial(t, listener.Addr().String())
			c.send(opening)
			c.Conn.(*net.TCPConn).CloseWrite()
			_, _ = io.ReadAll(c)
		}
	}
	door.Close()
	for conn := range accepted {
		if state := conn.(*Conn).ConnectionState(); !state.HandshakeComplete {
			t.Errorf("a connection without TLS came out")
		}
	}
}

func TestPlaintextOn587(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	tests := []struct{ line, want string }{
		{"MAIL FROM:<a@b.test>", "530 5.7.0"},
		{"AUTH PLAIN AGEAYg==", "530 5.7.0"},
		{"RCPT TO:<a@b.test>", "530 5.7.0"},
		{"DATA", "530 5.7.0"},
		{"BDAT 3 LAST", "530 5.7.0"},
		{"nonsense", "530 5.7.0"},
		{"STARTTLS now", "501 5.5.4"},
		{"STARTTLSXYZ", "530 5.7.0"},
		{"EHLO", "501 5.5.4"},
		{"helo x", "250 " + hostname},
		{"noop ", "250 2.0.0"},
		{"RSET", "250 2.0.0"},
	}
	c := dial(t, h.smtp)
	c.expect("220 " + hostname)
	for _, tt := range tests {
		c.say(tt.line, tt.want)
	}
	if hello := c.say("EHLO x", "250 STARTTLS"); strings.Contains(hello, "AUTH") {
		t.Errorf("AUTH is offered in the clear: %q", hello)
	}
	c.say("QUIT", "221 2.0.0")
	c.expectEnd()
}

func TestStartTLSInjectionClosesTheConnection(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	for _, rest := range []string{"EHLO x\r\n", "AUTH PLAIN AGEAYg==\r\n", "\x16\x03\x01", "\r\n"} {
		c := dial(t, h.smtp)
		c.expect("220 ")
		c.send("STARTTLS\r\n" + rest)
		c.expectEnd()
	}
}

func TestFailedHandshakeNeverFallsBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	c := dial(t, h.smtp)
	c.expect("220 ")
	c.say("STARTTLS", "220 ")
	c.send("EHLO again, in the clear\r\n")
	reply, _ := io.ReadAll(c.r)
	if bytes.Contains(reply, []byte("250")) {
		t.Errorf("the session went on in the clear: %q", reply)
	}
}

func TestSecondStartTLSIsRefused(t *testing.T) {
	t.Parallel()
	c := newHouse(t, nil).dialStartTLS(t)
	c.say("EHLO x", "250 ")
	c.say("STARTTLS", "503 5.5.1")
}

func TestTLSFloor(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	tests := []struct {
		name   string
		config *tls.Config
		ok     bool
	}{
		{"TLS 1.3", &tls.Config{MinVersion: tls.VersionTLS13}, true},
		{"TLS 1.2 with AEAD", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}, true},
		{"TLS 1.2 with CBC", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, false},
		{"TLS 1.1", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		{"a foreign ALPN name", &tls.Config{NextProtos: []string{"smtp"}}, true},
	}
	for _, tt := range tests {
		tt.config.InsecureSkipVerify = true
		conn, err := tls.Dial("tcp", h.smtps, tt.config)
		if (err == nil) != tt.ok {
			t.Errorf("%s: got %v, want success %v", tt.name, err, tt.ok)
		}
		if err == nil {
			conn.Close()
		}
	}
}

func TestRenewedCertificateIsServedAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	old := h.dialTLS(t)
	renewed := newCertificate(t)
	h.certificate.Store(renewed)
	served := h.dialTLS(t).Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Raw
	if !bytes.Equal(served, renewed.Certificate[0]) {
		t.Error("the old certificate is still served")
	}
	old.say("NOOP", "250 2.0.0 Ok")
}

func TestWrongModeIsNamedWithinASecond(t *testing.T) {
	t.Parallel()
	tests := []struct{ service, kind, send string }{
		{"submissions", "silent", ""},
		{"submissions", "plaintext_smtp", "EHLO x\r\n"},
		{"submissions", "http", "GET / HTTP/1.1\r\n"},
		{"submissions", "plaintext", "\x00\x01"},
		{"submission", "tls", "\x16\x03\x01\x02\x00"},
		{"submission", "http", "POST / HTTP/1.1\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.service+" "+tt.kind, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, func(o *Options) { o.Timeouts.Silence = 100 * time.Millisecond })
			address := h.smtps
			if tt.service == "submission" {
				address = h.smtp
			}
			c := dial(t, address)
			if tt.service == "submission" {
				c.expect("220 ")
			}
			began := time.Now()
			c.send(tt.send)
			c.expectEnd()
			if took := time.Since(began); took > time.Second {
				t.Errorf("closed after %v", took)
			}
			if n := testutil.ToFloat64(h.metrics.wrongMode.WithLabelValues(tt.service, tt.kind)); n != 1 {
				t.Errorf("counted %v times", n)
			}
			if log := h.log.String(); strings.Count(log, "wrong mode") != 1 || !strings.Contains(log, "kind="+tt.kind) {
				t.Errorf("logged %q", log)
			}
		})
	}
}

func TestHealthChecksAreOnlyCounted(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	dial(t, h.smtps).Close()
	c := dial(t, h.smtp)
	c.expect("220 ")
	c.Close()
	for _, service := range []string{"submissions", "submission"} {
		waitFor(t, service+" is counted", func() bool {
			return testutil.ToFloat64(h.metrics.healthChecks.WithLabelValues(service)) == 1
		})
	}
	if log := h.log.String(); log != "" {
		t.Errorf("logged %q", log)
	}
}

func TestSlowHandshakeDelaysNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	for range 20 {
		dial(t, h.smtps).send("\x16")
	}
	began := time.Now()
	h.dialTLS(t).say("NOOP", "250 ")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("an honest client waited %v", took)
	}
}

func TestCapsRefuseAndRecover(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *Options) { o.Limits.PerAddress = 2 })
	first, _ := h.dialTLS(t), h.dialTLS(t)
	dial(t, h.smtps).expectEnd()
	first.say("QUIT", "221 ")
	first.Close()
	waitFor(t, "a place is free", func() bool {
		conn, err := tls.Dial("tcp", h.smtps, &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

func TestNothingIsHandledAfterQuit(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	c := h.dialTLS(t)
	c.send("EHLO x\r\nQUIT\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nx\r\n.\r\n")
	c.expect("250 ")
	c.expect("221 ")
	c.expectEnd()
	if len(h.backend.messages) > 0 {
		t.Error("a message after QUIT was taken")
	}
}

func TestAbortAnswersAndCloses(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.backend.abort = "554 5.6.0 No"
	c := h.dialTLS(t)
	c.send("EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n")
	for _, want := range []string{"250 ", "250 ", "250 ", "354 "} {
		c.expect(want)
	}
	c.send("the start of a message that never ends\r\n")
	c.expect("554 5.6.0 No")
	c.expectEnd()
}

func TestSlowContentTimesOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *Options) {
		o.Limits.MinRate = 1000
		o.Timeouts.Grace = 100 * time.Millisecond
	})
	c := h.dialTLS(t)
	c.send("EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n")
	for _, want := range []string{"250 ", "250 ", "250 ", "354 "} {
		c.expect(want)
	}
	for range 100 {
		if _, err := io.WriteString(c.Conn, "x"); err != nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	rest, _ := io.ReadAll(c.r)
	if bytes.Contains(rest, []byte("250")) || len(h.backend.messages) > 0 {
		t.Errorf("a slow message was taken: %q", rest)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	waiting, busy := h.dialTLS(t), h.dialTLS(t)
	waiting.say("EHLO x", "250 ")
	busy.say("EHLO x", "250 ")
	busy.say("MAIL FROM:<a@b.test>", "250 ")
	drained := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	go func() { drained <- h.Drain(ctx) }()
	waiting.expect("421 4.3.2")
	waiting.expectEnd()
	busy.say("RCPT TO:<c@d.test>", "250 ")
	busy.say("DATA", "354 ")
	busy.say("x\r\n.", "250 ")
	busy.expect("421 4.3.2")
	busy.expectEnd()
	waiting.Close()
	busy.Close()
	if err := <-drained; err != nil {
		t.Errorf("Drain: %v", err)
	}
	if _, err := net.Dial("tcp", h.smtps); err == nil {
		t.Error("a draining door takes connections")
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within 5 s: %s", what)
}
