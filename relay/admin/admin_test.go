package admin

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

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

// issue makes a certificate for the loopback address.
func (a *authority) issue(usage x509.ExtKeyUsage) *tls.Certificate {
	return a.sign(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{usage}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
}

func (a *authority) sign(template *x509.Certificate) *tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		a.t.Fatal(err)
	}
	template.Subject = pkix.Name{CommonName: rand.Text()}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// relay is what the Server under test watches.
type relay struct {
	alive, ready atomic.Bool
	snapshot     atomic.Pointer[config.Snapshot]
	server       *Server
}

func start(t *testing.T, snapshot *config.Snapshot) *relay {
	t.Helper()
	r := &relay{}
	r.snapshot.Store(snapshot)
	registry := NewRegistry("v1.2.3")
	registry.MustRegister(NewConfigCollector(r.snapshot.Load))
	var err error
	r.server, err = Listen(Options{
		Ports:    config.Admin{Probes: "127.0.0.1:0", Metrics: "127.0.0.1:0", Status: "127.0.0.1:0"},
		Alive:    r.alive.Load,
		Ready:    r.ready.Load,
		Snapshot: r.snapshot.Load,
		Report:   func() config.Report { return config.Report{Users: 7, Loaded: map[string]string{"/etc": "hash"}} },
		Gatherer: registry,
		Logger:   slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.server.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve = %v", err)
		}
	})
	return r
}

// get asks without keeping the connection.
func get(t *testing.T, client *tls.Config, method, url string) (int, string, error) {
	t.Helper()
	c := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: client, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

func TestProbesFollowTheRelay(t *testing.T) {
	t.Parallel()
	r := start(t, &config.Snapshot{})
	url := "http://" + r.server.Addr("probes").String()
	for _, tc := range []struct {
		alive, ready bool
		method, path string
		wantStatus   int
		wantBody     string
	}{
		{alive: true, method: "GET", path: "/livez", wantStatus: 200, wantBody: "ok\n"},
		{alive: false, method: "GET", path: "/livez", wantStatus: 503, wantBody: "no\n"},
		{ready: true, method: "GET", path: "/readyz", wantStatus: 200, wantBody: "ok\n"},
		{ready: false, method: "GET", path: "/readyz", wantStatus: 503, wantBody: "no\n"},
		{alive: true, method: "HEAD", path: "/livez", wantStatus: 200},
		{alive: true, method: "POST", path: "/livez", wantStatus: 405, wantBody: "Method Not Allowed\n"},
		{method: "GET", path: "/metrics", wantStatus: 404, wantBody: "404 page not found\n"},
		{method: "GET", path: "/v1/status", wantStatus: 404, wantBody: "404 page not found\n"},
	} {
		r.alive.Store(tc.alive)
		r.ready.Store(tc.ready)
		status, body, err := get(t, nil, tc.method, url+tc.path)
		if err != nil || status != tc.wantStatus || body != tc.wantBody {
			t.Errorf("%s %s with alive %t, ready %t = %d %q %v; want %d %q",
				tc.method, tc.path, tc.alive, tc.ready, status, body, err, tc.wantStatus, tc.wantBody)
		}
	}
}

func TestMetricsShowTheConfigurationInUse(t *testing.T) {
	t.Parallel()
	pair := newAuthority(t).issue(x509.ExtKeyUsageServerAuth)
	pair.Leaf.NotAfter = time.Unix(1900000000, 0)
	r := start(t, &config.Snapshot{
		Internal: pair, Errors: []error{errors.New("one")},
		Users: map[string]config.User{"a": {}, "b": {}},
	})
	url := "http://" + r.server.Addr("metrics").String() + "/metrics"
	status, body, err := get(t, nil, "GET", url)
	if err != nil || status != 200 {
		t.Fatalf("GET = %d, %v", status, err)
	}
	for _, want := range []string{
		`mailrelay_certificate_expiry_timestamp_seconds{name="internal"} 1.9e+09`,
		"mailrelay_config_errors 1", "mailrelay_users 2", `version="v1.2.3"`, "go_goroutines", "process_open_fds",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	r.snapshot.Store(&config.Snapshot{Internal: pair, External: pair})
	if _, body, err = get(t, nil, "GET", url); err != nil || !strings.Contains(body, `{name="external"}`) || !strings.Contains(body, "mailrelay_users 0") {
		t.Errorf("the metrics do not follow the configuration: %v", err)
	}
}

func TestStatusNeedsACertificateOfItsCA(t *testing.T) {
	t.Parallel()
	internal, operator, stranger := newAuthority(t), newAuthority(t), newAuthority(t)
	r := start(t, &config.Snapshot{
		Internal:        internal.issue(x509.ExtKeyUsageServerAuth),
		StatusClientCAs: operator.pool(),
	})
	url := "https://" + r.server.Addr("status").String() + StatusPath
	for _, tc := range []struct {
		name   string
		client *tls.Certificate
		max    uint16
		want   bool
	}{
		{name: "operator", client: operator.issue(x509.ExtKeyUsageClientAuth), want: true},
		{name: "no certificate"},
		{name: "certificate of the relay's own CA", client: internal.issue(x509.ExtKeyUsageClientAuth)},
		{name: "certificate of a stranger", client: stranger.issue(x509.ExtKeyUsageClientAuth)},
		{name: "server certificate", client: operator.issue(x509.ExtKeyUsageServerAuth)},
		{name: "TLS 1.2", client: operator.issue(x509.ExtKeyUsageClientAuth), max: tls.VersionTLS12},
	} {
		client := &tls.Config{RootCAs: internal.pool(), MaxVersion: tc.max}
		if tc.client != nil {
			client.Certificates = []tls.Certificate{*tc.client}
		}
		status, body, err := get(t, client, "GET", url)
		if !tc.want {
			if err == nil {
				t.Errorf("%s: got %d %q, want no answer", tc.name, status, body)
			}
			continue
		}
		var report config.Report
		if err != nil || status != 200 || json.Unmarshal([]byte(body), &report) != nil || report.Users != 7 || report.Loaded["/etc"] != "hash" {
			t.Errorf("%s: got %d %q %v, want the report", tc.name, status, body, err)
		}
	}
}

func TestStatusFollowsCertificateAndCA(t *testing.T) {
	t.Parallel()
	oldInternal, newInternal, operator := newAuthority(t), newAuthority(t), newAuthority(t)
	r := start(t, &config.Snapshot{Internal: oldInternal.issue(x509.ExtKeyUsageServerAuth)})
	url := "https://" + r.server.Addr("status").String() + StatusPath
	client := func(a *authority) *tls.Config {
		return &tls.Config{RootCAs: a.pool(), Certificates: []tls.Certificate{*operator.issue(x509.ExtKeyUsageClientAuth)}}
	}
	if _, _, err := get(t, client(oldInternal), "GET", url); err == nil {
		t.Error("the status is shown while there is no CA for clients")
	}
	r.snapshot.Store(&config.Snapshot{Internal: newInternal.issue(x509.ExtKeyUsageServerAuth), StatusClientCAs: operator.pool()})
	if status, _, err := get(t, client(newInternal), "GET", url); err != nil || status != 200 {
		t.Errorf("with the new certificate and CA: %d, %v", status, err)
	}
	if _, _, err := get(t, client(oldInternal), "GET", url); err == nil {
		t.Error("the old certificate is still shown")
	}
}

func TestListenOpensOnlyWhatIsOn(t *testing.T) {
	t.Parallel()
	s, err := Listen(Options{Ports: config.Admin{Probes: config.Off, Metrics: "127.0.0.1:0", Status: config.Off}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if s.Addr("probes") != nil || s.Addr("status") != nil || s.Addr("metrics") == nil {
		t.Error("other ports are open than the one that is on")
	}
	taken := s.Addr("metrics").String()
	_, err = Listen(Options{Ports: config.Admin{Probes: "127.0.0.1:0", Metrics: taken, Status: config.Off}})
	if err == nil || !strings.Contains(err.Error(), "listen for metrics") {
		t.Errorf("Listen on a taken port = %v", err)
	}
}
