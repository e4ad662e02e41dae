package served

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func newCertificate(t *testing.T, name string) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "issuer of " + name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// serve speaks as little SMTP as a Watch needs, with whatever certificate is set.
func serve(t *testing.T, shown *atomic.Pointer[tls.Certificate], starttls bool) net.Addr {
	t.Helper()
	return listen(t, func(conn net.Conn) { talk(conn, func(string) *tls.Certificate { return shown.Load() }, starttls) })
}

// serveBySNI does the same with a certificate for each host.
func serveBySNI(t *testing.T, shown func(host string) *tls.Certificate) net.Addr {
	t.Helper()
	return listen(t, func(conn net.Conn) { talk(conn, shown, false) })
}

func listen(t *testing.T, talk func(net.Conn)) net.Addr {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go talk(conn)
		}
	}()
	return listener.Addr()
}

func talk(conn net.Conn, shown func(host string) *tls.Certificate, starttls bool) {
	defer conn.Close()
	reply := func(c io.ReadWriter, lines string) { _, _ = io.WriteString(c, lines) }
	if starttls {
		text := textproto.NewReader(textproto.NewConn(conn).R)
		reply(conn, "220 ready\r\n")
		_, _ = text.ReadLine()
		reply(conn, "250-here\r\n250 STARTTLS\r\n")
		_, _ = text.ReadLine()
		reply(conn, "220 go\r\n")
	}
	secure := tls.Server(conn, &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return shown(hello.ServerName), nil }})
	if !starttls {
		reply(secure, "220 ready\r\n")
	}
	if line, _ := textproto.NewConn(secure).ReadLine(); line == "QUIT" {
		reply(secure, "221 bye\r\n")
	}
}

// silent says nothing until the other end goes.
func silent(conn net.Conn) {
	defer conn.Close()
	_, _ = io.Copy(io.Discard, conn)
}

// closedPort is one that nobody listens on.
func closedPort(t *testing.T) net.Addr {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	return listener.Addr()
}

func TestWatchSeesWhatClientsSee(t *testing.T) {
	t.Parallel()
	mine, other, wrong := newCertificate(t, "relay.test"), newCertificate(t, "relay.test"), newCertificate(t, "other.test")
	for _, tc := range []struct {
		name   string
		shown  *tls.Certificate
		closed bool
		want   string
	}{
		{"what is loaded", mine, false, ""},
		{"an older certificate", other, false, "shows a client that asks for relay.test another certificate than it should"},
		{"one for another name", wrong, false, "shows a client that asks for relay.test a certificate that is not for that name"},
		{"no answer", mine, true, "does not answer a client that asks for relay.test: connection refused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var shown atomic.Pointer[tls.Certificate]
			shown.Store(tc.shown)
			var log bytes.Buffer
			snapshot := &config.Snapshot{Config: &config.Config{Hostname: "relay.test"}, Internal: mine}
			o := Options{
				Submissions: serve(t, &shown, false), Submission: serve(t, &shown, true),
				Snapshot: func() *config.Snapshot { return snapshot }, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			}
			if tc.closed {
				o.Submissions, o.Submission = closedPort(t), closedPort(t)
			}
			w := New(o)
			if before := w.Reports(); len(before) != 1 || before[0].Served != nil || before[0].Fingerprint != config.Fingerprint(mine.Leaf) {
				t.Errorf("before the first look: %+v", before)
			}
			complaint := w.look(t.Context())
			served := w.Reports()[0].Served
			if len(served) != 2 {
				t.Fatalf("served = %+v", served)
			}
			for _, s := range served {
				if s.Host != "relay.test" || s.Port == 0 || (s.Error != "") != (tc.want != "") || !strings.Contains(s.Error, tc.want) {
					t.Errorf("served = %+v, want %q", s, tc.want)
				}
				if !tc.closed && (s.Fingerprint != config.Fingerprint(tc.shown.Leaf) || s.Issuer != tc.shown.Leaf.Issuer.CommonName || !s.NotAfter.Equal(tc.shown.Leaf.NotAfter)) {
					t.Errorf("served = %+v, want %v", s, tc.shown.Leaf.Subject)
				}
			}
			if complaint != served[0].Error {
				t.Errorf("complains of %q", complaint)
			}
		})
	}
}

// What was seen of an older certificate says nothing of the one that is in use now.
func TestReportOfANewCertificateWaitsForALook(t *testing.T) {
	t.Parallel()
	var shown atomic.Pointer[tls.Certificate]
	first, second := newCertificate(t, "relay.test"), newCertificate(t, "relay.test")
	var current atomic.Pointer[config.Snapshot]
	use := func(c *tls.Certificate) {
		shown.Store(c)
		current.Store(&config.Snapshot{Config: &config.Config{Hostname: "relay.test"}, Internal: c})
	}
	use(first)
	w := New(Options{Submissions: serve(t, &shown, false), Snapshot: current.Load, Logger: slog.New(slog.DiscardHandler)})
	if complaint := w.look(t.Context()); complaint != "" {
		t.Fatal(complaint)
	}
	use(second)
	if served := w.Reports()[0].Served; served != nil {
		t.Errorf("of the new certificate it says %+v", served)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	w.Changed()
	for w.Reports()[0].Served == nil {
		time.Sleep(time.Millisecond)
	}
	if got := w.Reports()[0].Served[0]; got.Fingerprint != config.Fingerprint(second.Leaf) {
		t.Errorf("served = %+v", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestHostsToAskFor(t *testing.T) {
	t.Parallel()
	external := newCertificate(t, "*.example.com")
	external.Leaf.DNSNames = append(external.Leaf.DNSNames, "mail.example.com")
	s := &config.Snapshot{Config: &config.Config{Hostname: "relay.test"}, External: external}
	if got := hosts(s, config.ExternalCertificate); len(got) != 1 || got[0] != "mail.example.com" {
		t.Errorf("hosts = %v", got)
	}
	external.Leaf.DNSNames = external.Leaf.DNSNames[:1]
	if got := hosts(s, config.ExternalCertificate); got != nil {
		t.Errorf("hosts = %v: nobody knows a name", got)
	}
	s.Config.TLS.Names = []string{"smtp.example.com", "mail.example.com"}
	if got := hosts(s, config.ExternalCertificate); len(got) != 2 {
		t.Errorf("hosts = %v", got)
	}
}

// TestPublicNameIsNotAskedOfTheInternalCertificate: a relay may be called by a name that its
// external certificate is for, which is shown for that name then.
func TestPublicNameIsNotAskedOfTheInternalCertificate(t *testing.T) {
	t.Parallel()
	external := newCertificate(t, "mail.example.com")
	s := &config.Snapshot{Config: &config.Config{Hostname: "mail.example.com"}, External: external}
	for _, tc := range []struct{ internal, want string }{
		{"mail.example.com", ""}, {"relay.mail.svc", "relay.mail.svc"}, {"*.mail.svc", ""},
	} {
		s.Internal = newCertificate(t, tc.internal)
		shown := func(host string) *tls.Certificate { return s.CertificateFor(host) }
		w := New(Options{Submissions: serveBySNI(t, shown), Snapshot: func() *config.Snapshot { return s }, Logger: slog.New(slog.DiscardHandler)})
		if complaint := w.look(t.Context()); complaint != "" {
			t.Errorf("%s: %s", tc.internal, complaint)
		}
		for _, c := range w.Reports() {
			want := tc.want
			if c.Name == config.ExternalCertificate {
				want = "mail.example.com"
			}
			if len(c.Served) != 1 || c.Served[0].Host != want || c.Served[0].Fingerprint != c.Fingerprint {
				t.Errorf("%s: %s is asked for by %+v", tc.internal, c.Name, c.Served)
			}
		}
	}
}

// TestTroubleIsSaidInTheSameWordsEachTime: what is said of a port goes into a status and a log,
// which are written when it changes.
func TestTroubleIsSaidInTheSameWordsEachTime(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		talk     func(net.Conn)
		starttls bool
		want     string
	}{
		"closed at accept": {func(c net.Conn) { c.Close() }, false, "does not answer a client that asks for relay.test: it closes the connection at once"},
		"reset":            {func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); c.Close() }, false, "it closes the connection at once"},
		"too many, on 587": {func(c net.Conn) { _, _ = io.WriteString(c, "421 4.7.0 too many\r\n"); c.Close() }, true, "it says 421 4.7.0 too many"},
		"another protocol": {func(c net.Conn) { _, _ = io.WriteString(c, "220 hello there\r\n"); c.Close() }, false, "first record does not look like a TLS handshake"},
		"not a certificate": {func(c net.Conn) {
			_ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{{}}}).Handshake()
			c.Close()
		}, false, "tls: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := port{addr: listen(t, tc.talk), starttls: tc.starttls, own: new(Own)}
			first, second := p.show(t.Context(), "relay.test", ""), p.show(t.Context(), "relay.test", "")
			if first.Error != second.Error || !strings.Contains(first.Error, tc.want) || strings.Contains(first.Error, "127.0.0.1") {
				t.Errorf("it says %q and %q, want %q", first.Error, second.Error, tc.want)
			}
		})
	}
	late, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	waiting := port{addr: listen(t, silent), own: new(Own)}
	if got := waiting.show(late, "relay.test", ""); !strings.Contains(got.Error, "nothing came in time") {
		t.Errorf("of a port that says nothing: %q", got.Error)
	}
}

// TestLookIsBounded however many names there are.
func TestLookIsBounded(t *testing.T) {
	t.Parallel()
	c := &config.Config{Hostname: "relay.test", TLS: config.TLS{Names: []string{"a.test", "b.test", "c.test"}}}
	s := &config.Snapshot{Config: c, Internal: newCertificate(t, "relay.test"), External: newCertificate(t, "a.test")}
	w := New(Options{
		Submissions: listen(t, silent), Submission: listen(t, silent), timeout: 300 * time.Millisecond,
		Snapshot: func() *config.Snapshot { return s }, Logger: slog.New(slog.DiscardHandler),
	})
	from := time.Now()
	if complaint := w.look(t.Context()); !strings.Contains(complaint, "nothing came in time") {
		t.Errorf("it complains of %q", complaint)
	}
	if took := time.Since(from); took > 2*time.Second {
		t.Errorf("the look took %s", took)
	}
	if shown := w.Reports()[1].Served; len(shown) != 6 {
		t.Errorf("of the external certificate it says %+v", shown)
	}
}
