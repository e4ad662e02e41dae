package poll

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// authority is a CA made for one test.
type authority struct {
	t    *testing.T
	pair tls.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.pair = a.sign(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	return a
}

func (a *authority) sign(template *x509.Certificate, parent *tls.Certificate) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber, template.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: "test"}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	issuer, signer := template, any(key)
	if parent != nil {
		issuer, signer = parent.Leaf, parent.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) leaf(name string) tls.Certificate {
	return a.sign(&x509.Certificate{DNSNames: []string{name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, &a.pair)
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.pair.Certificate[0]})
}

// relay is a status port that takes clients of one CA.
func relay(t *testing.T, own, clients *authority, handler http.HandlerFunc) string {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(clients.pair.Leaf)
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own.leaf("relay.mail.svc")},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
	}
	server.Config.ErrorLog = nil
	server.StartTLS()
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "https://")
}

func poller(a *authority) *Poller {
	certificate := a.leaf("operator")
	return &Poller{Certificate: func() (*tls.Certificate, error) { return &certificate, nil }, Timeout: 5 * time.Second}
}

func TestPollReadsTheReport(t *testing.T) {
	t.Parallel()
	relayCA, operatorCA := newAuthority(t), newAuthority(t)
	want := config.Report{Users: 3, Queue: config.QueueReport{Messages: 7}, Loaded: map[string]string{"/etc/mailrelay/config": "abc"}}
	address := relay(t, relayCA, operatorCA, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/status" {
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(want)
	})
	got, err := poller(operatorCA).Poll(t.Context(), Target{Address: address, ServerName: "relay.mail.svc", CA: relayCA.pem()})
	if err != nil {
		t.Fatal(err)
	}
	if got.Users != want.Users || got.Queue.Messages != 7 || got.Loaded["/etc/mailrelay/config"] != "abc" {
		t.Errorf("report = %+v", got)
	}
}

func TestPollTrustsOnlyTheRelayAndIsTrustedOnlyAsTheOperator(t *testing.T) {
	t.Parallel()
	relayCA, operatorCA, strangerCA := newAuthority(t), newAuthority(t), newAuthority(t)
	address := relay(t, relayCA, operatorCA, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) })
	for _, tc := range []struct {
		name   string
		client *authority
		target Target
		want   string
	}{
		{"a relay of another CA", operatorCA, Target{address, "relay.mail.svc", strangerCA.pem()}, "unknown authority"},
		{"another relay of the same CA", operatorCA, Target{address, "other.mail.svc", relayCA.pem()}, "not other.mail.svc"},
		{"a client of another CA", strangerCA, Target{address, "relay.mail.svc", relayCA.pem()}, "tls:"},
		{"no CA", operatorCA, Target{address, "relay.mail.svc", []byte("nonsense")}, "not a PEM certificate"},
	} {
		if report, err := poller(tc.client).Poll(t.Context(), tc.target); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: Poll = %v, %v; want an error about %q", tc.name, report, err, tc.want)
		}
	}
}

func TestPollBoundsWhatARelayCanDo(t *testing.T) {
	t.Parallel()
	relayCA, operatorCA := newAuthority(t), newAuthority(t)
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	for name, handler := range map[string]http.HandlerFunc{
		"error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://198.51.100.1/", http.StatusFound)
		},
		"garbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"errors":["` + strings.Repeat("x", 2<<20)))
		},
		"silence": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		},
	} {
		address := relay(t, relayCA, operatorCA, handler)
		p := poller(operatorCA)
		p.Timeout = 300 * time.Millisecond
		if _, err := p.Poll(context.Background(), Target{Address: address, ServerName: "relay.mail.svc", CA: relayCA.pem()}); err == nil {
			t.Errorf("%s: Poll gave no error", name)
		}
	}
}
