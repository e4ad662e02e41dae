package relay_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

const hostname = "relay.test"

// authority is a CA that lives for one test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	pair := a.sign(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.cert, a.key = pair.Leaf, pair.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

func (a *authority) server(name string) *tls.Certificate {
	return a.sign(&x509.Certificate{DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
}

func (a *authority) client() *tls.Certificate {
	return a.sign(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

func (a *authority) sign(template *x509.Certificate) *tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.must(err)
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	a.must(err)
	template.Subject = pkix.Name{CommonName: rand.Text()}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	a.must(err)
	leaf, err := x509.ParseCertificate(der)
	a.must(err)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func pemCertificate(cert *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
}

// site is a directory with all that a relay reads, and the password of its users.
type site struct {
	t        *testing.T
	path     string
	ca       *authority
	operator *authority
	password string
	verifier config.Verifier
	log      *logBuffer
}

func newSite(t *testing.T, u *upstream) *site {
	t.Helper()
	s := &site{t: t, path: t.TempDir(), ca: newAuthority(t), operator: newAuthority(t), password: rand.Text(), log: &logBuffer{}}
	var err error
	s.verifier, err = config.NewVerifier(s.password)
	s.ca.must(err)
	data, err := config.Marshal(&config.Config{
		Version:  config.Version,
		Hostname: hostname,
		Listeners: config.Listeners{
			Submissions: config.Listener{Address: "127.0.0.1:0"}, Submission: config.Listener{Address: "127.0.0.1:0"},
		},
		TLS: config.TLS{
			Internal: config.KeyPair{CertFile: "tls/tls.crt", KeyFile: "tls/tls.key"},
			External: config.KeyPair{CertFile: "external/tls.crt", KeyFile: "external/tls.key"},
		},
		Upstreams: []config.Upstream{{
			Name: "provider", Host: u.host, Port: u.port, TLS: config.TLSImplicit, CAFile: "upstream/ca.crt",
			Auth: config.Auth{UsernameFile: "upstream/username", PasswordFile: "upstream/password"},
		}},
		Users: config.Users{Files: []string{"users/users.yaml"}},
		Queue: config.Queue{Directory: "spool", RetryInitial: 50 * time.Millisecond, RetryMax: 100 * time.Millisecond, LowSpace: 1 << 20},
		Admin: config.Admin{
			Probes: "127.0.0.1:0", Metrics: "127.0.0.1:0", Status: "127.0.0.1:0", StatusClientCAFile: "config/ca.crt",
		},
	})
	s.ca.must(err)
	s.write("relay.yaml", string(data))
	s.certificate("tls", s.ca.server(hostname))
	s.write("config/ca.crt", pemCertificate(s.operator.cert))
	s.write("upstream/ca.crt", pemCertificate(u.ca.cert))
	s.write("upstream/username", u.username)
	s.write("upstream/password", u.password)
	s.users("app.shop")
	s.ca.must(os.MkdirAll(filepath.Join(s.path, "spool"), 0o700))
	return s
}

// write replaces a file by a rename.
func (s *site) write(name, content string) {
	s.t.Helper()
	path := filepath.Join(s.path, name)
	s.ca.must(os.MkdirAll(filepath.Dir(path), 0o755))
	s.ca.must(os.WriteFile(path+"~", []byte(content), 0o600))
	s.ca.must(os.Rename(path+"~", path))
}

func (s *site) certificate(dir string, pair *tls.Certificate) {
	s.t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	s.ca.must(err)
	s.write(dir+"/tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	s.write(dir+"/tls.crt", pemCertificate(pair.Leaf))
}

// users are those who may send as anybody at example.com.
func (s *site) users(names ...string) {
	s.t.Helper()
	f := &config.UserFile{Version: config.Version}
	for _, name := range names {
		f.Users = append(f.Users, config.User{Name: name, Passwords: []config.Verifier{s.verifier}, Senders: []string{"example.com"}})
	}
	data, err := config.MarshalUserFile(f)
	s.ca.must(err)
	s.write("users/users.yaml", string(data))
}

// running is a relay that serves.
type running struct {
	relay.Addresses
	site *site
	// pid is that of a relay in a process of its own.
	pid  int
	stop func() error
	// done gets the result of a relay that stops by itself, instead of stop.
	done <-chan error
}

// start runs a relay until the test ends or stop is called.
func (s *site) start() *running {
	s.t.Helper()
	r := s.startWith(relay.Options{})
	s.t.Cleanup(func() {
		if err := r.stop(); err != nil {
			s.t.Errorf("the relay stopped with: %v", err)
		}
	})
	return r
}

// startWith runs a relay that is expected to end by itself or by stop.
func (s *site) startWith(o relay.Options) *running {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan relay.Addresses, 1), make(chan error, 1)
	o.ConfigFile, o.Version = filepath.Join(s.path, "relay.yaml"), "test"
	o.Logger = slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.OnReady = func(a relay.Addresses) { ready <- a }
	go func() { done <- relay.Serve(ctx, o) }()
	r := &running{site: s, done: done, stop: sync.OnceValue(func() error { cancel(); return <-done })}
	select {
	case r.Addresses = <-ready:
	case err := <-done:
		s.t.Fatalf("the relay did not start: %v", err)
	}
	s.t.Cleanup(func() {
		cancel()
		if s.t.Failed() {
			s.t.Logf("log of the relay:\n%s", s.log)
		}
		s.checkSecrets("app.shop")
	})
	return r
}

// checkSecrets looks for a user's password in the log, in every form in which it travels.
func (s *site) checkSecrets(user string) {
	s.t.Helper()
	encode := base64.StdEncoding.EncodeToString
	log := s.log.String()
	for _, secret := range []string{s.password, encode([]byte(s.password)), encode([]byte("\x00" + user + "\x00" + s.password))} {
		if strings.Contains(log, secret) {
			s.t.Error("the password is in the log")
		}
	}
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// eventually polls until something is true.
func eventually(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !reached(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 15 s", what)
		}
	}
}

func hostPort(t *testing.T, a net.Addr) (string, int) {
	t.Helper()
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		t.Fatalf("%v is not a TCP address", a)
	}
	return tcp.IP.String(), tcp.Port
}

func body(subject string) string {
	return fmt.Sprintf("From: app@example.com\r\nTo: bob@example.net\r\nSubject: %s\r\n\r\nHello.\r\n", subject)
}
