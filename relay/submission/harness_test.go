package submission

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/policy"
	"github.com/mailrelay-dev/mailrelay-operator/relay/sasl"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

const testUser = "app.shop"

// testPassword and its verifier are made once: a verifier is costly by design.
var testPassword = rand.Text()

var testVerifier = sync.OnceValue(func() config.Verifier {
	v, err := config.NewVerifier(testPassword)
	if err != nil {
		panic(err)
	}
	return v
})

// fixture is a server on loopback, with a spool in memory.
type fixture struct {
	t       testing.TB
	address string
	spool   *memorySpool
	users   *policy.Users
	config  *config.Config
	metrics *prometheus.Registry
	log     *syncBuffer
	backlog func(string) (int, time.Duration)
	now     func() time.Time
	tokens  sasl.TokenValidator
	// clientCAs are for a server behind a front door.
	clientCAs *x509.CertPool
	pause     func(time.Duration)
	stop      func()
	server    *Server
}

// start runs a server whose user may send as anybody at example.com. The settings can be
// changed before it serves.
func start(t testing.TB, change ...func(*fixture)) *fixture {
	t.Helper()
	f := newFixture(t)
	for _, c := range change {
		c(f)
	}
	l := listen(t)
	f.address = l.Addr().String()
	f.serve(encryptedListener{l})
	return f
}

func newFixture(t testing.TB) *fixture {
	f := &fixture{
		t:     t,
		spool: &memorySpool{},
		users: &policy.Users{},
		config: &config.Config{
			Hostname: "relay.test",
			Message:  config.Message{MaxSize: 64 << 10, MaxRecipients: 10},
		},
		metrics: prometheus.NewRegistry(),
		log:     &syncBuffer{},
		pause:   func(time.Duration) {},
	}
	f.setSenders("example.com")
	return f
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (f *fixture) setSenders(senders ...string) { f.setUser(config.User{Senders: senders}) }

// setUser makes this the only user, with the usual name and password.
func (f *fixture) setUser(user config.User) {
	user.Name, user.Passwords = testUser, []config.Verifier{testVerifier()}
	f.users.Replace(map[string]config.User{testUser: user})
}

// serve runs a server on the listener until the end of the test.
func (f *fixture) serve(l net.Listener) {
	server, err := NewServer(Options{
		Config:     configOf(f),
		Users:      f.users,
		ClientCAs:  func() *x509.CertPool { return f.clientCAs },
		Tokens:     f.tokens,
		Spool:      f.spool,
		Backlog:    f.backlog,
		Now:        f.now,
		Logger:     slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Registerer: f.metrics,
		pause:      f.pause,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.server = server
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	f.stop = func() {
		_ = server.Close()
		_ = l.Close() // the server does not know it yet when Serve has only just begun
		<-done
	}
	f.t.Cleanup(f.stop)
}

// value is the sum of a metric over all its labels.
func (f *fixture) value(name string, labels ...string) float64 {
	f.t.Helper()
	families, err := f.metrics.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			have := ""
			for _, l := range m.GetLabel() {
				have += l.GetValue() + " "
			}
			if strings.Contains(have, strings.Join(labels, " ")) {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// encryptedListener hands over connections after their TLS handshake, as the front door does.
type encryptedListener struct{ net.Listener }

func (l encryptedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	t := tls.Server(c, serverTLS())
	return &transport{Conn: t, state: sync.OnceValue(func() tls.ConnectionState {
		_ = t.Handshake()
		return t.ConnectionState()
	})}, nil
}

// transport is a Transport: as little of the front door's connection as the server needs.
type transport struct {
	net.Conn
	state func() tls.ConnectionState

	mu      sync.Mutex
	aborted bool
}

func (c *transport) ConnectionState() tls.ConnectionState { return c.state() }

func (c *transport) Service() string { return "submissions" }

func (c *transport) Abort(reply string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.aborted {
		return
	}
	c.aborted = true
	_, _ = io.WriteString(c.Conn, reply+"\r\n")
	_ = c.Close()
}

func (c *transport) Leave(reply string, _ time.Duration) { c.Abort(reply) }

func (c *transport) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.aborted {
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

var serverTLS = sync.OnceValue(func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "relay.test"},
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
})

// memorySpool is a Spool that keeps what was committed.
type memorySpool struct {
	spool.Spool // every method but Create is a nil call

	mu                               sync.Mutex
	made                             int
	committed                        []stored
	createErr, writeErr, commitError error
	failures                         int  // commits that fail before others work
	forget                           bool // keep nothing, for benchmarks
}

type stored struct {
	envelope spool.Envelope
	content  string
}

func (s *memorySpool) Create(context.Context) (spool.Draft, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.createErr != nil {
		return nil, s.createErr
	}
	s.made++
	return &memoryDraft{spool: s, id: fmt.Sprintf("id%d", s.made)}, nil
}

func (s *memorySpool) messages() []stored {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]stored(nil), s.committed...)
}

type memoryDraft struct {
	bytes.Buffer
	spool *memorySpool
	id    string
}

func (d *memoryDraft) ID() string { return d.id }

func (d *memoryDraft) Write(p []byte) (int, error) {
	if d.spool.writeErr != nil {
		return 0, d.spool.writeErr
	}
	return d.Buffer.Write(p)
}

func (d *memoryDraft) Commit(_ context.Context, e *spool.Envelope, _ ...*spool.Envelope) error {
	d.spool.mu.Lock()
	defer d.spool.mu.Unlock()
	if d.spool.commitError != nil {
		return d.spool.commitError
	}
	if d.spool.failures > 0 {
		d.spool.failures--
		return errors.New("the disk failed")
	}
	e.ID, e.Size = d.id, int64(d.Len())
	if !d.spool.forget {
		d.spool.committed = append(d.spool.committed, stored{*e, d.String()})
	}
	return nil
}

func (d *memoryDraft) Abort() {}

// syncBuffer is a log that many write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func configOf(f *fixture) func() *config.Config {
	return func() *config.Config { return f.config }
}
