package frontdoor

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"sync/atomic"
	"testing"
)

// poolOf trusts just one certificate, which signed itself.
func poolOf(t *testing.T, pair *tls.Certificate) *x509.CertPool {
	t.Helper()
	cert, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}

// greets tells whether a client gets as far as the greeting. A client of TLS 1.3 hears only
// there that its certificate was refused.
func greets(address string, config *tls.Config) (greeted, resumed bool) {
	config.InsecureSkipVerify = true
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		return false, false
	}
	defer conn.Close()
	n, err := conn.Read(make([]byte, 4))
	return err == nil && n > 0, conn.ConnectionState().DidResume
}

func TestClientCertificateIsAskedForAndVerified(t *testing.T) {
	t.Parallel()
	known, unknown := newCertificate(t), newCertificate(t)
	for _, tc := range []struct {
		name       string
		cas, shown *tls.Certificate
		asked, ok  bool
	}{
		{"no CAs", nil, known, false, true},
		{"client without certificate", known, nil, true, true},
		{"certificate of a CA", known, known, true, true},
		{"certificate of no CA", known, unknown, true, false},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(tc.name+", "+tls.VersionName(version), func(t *testing.T) {
				t.Parallel()
				h := newHouse(t, func(o *Options) {
					o.ClientCAs = func() *x509.CertPool {
						if tc.cas == nil {
							return nil
						}
						return poolOf(t, tc.cas)
					}
				})
				asked := false
				ok, _ := greets(h.smtps, &tls.Config{
					MinVersion: version, MaxVersion: version,
					GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
						asked = true
						if tc.shown == nil {
							return &tls.Certificate{}, nil
						}
						return tc.shown, nil
					},
				})
				if asked != tc.asked || ok != tc.ok {
					t.Errorf("asked %v, let in %v; want %v, %v", asked, ok, tc.asked, tc.ok)
				}
				if !tc.ok {
					waitFor(t, "the log says why", func() bool { return strings.Contains(h.log.String(), "none of the CAs of users signed") })
				}
			})
		}
	}
}

func TestWithdrawnClientCAIsNotHelpedByAnOldSession(t *testing.T) {
	t.Parallel()
	old, next := newCertificate(t), newCertificate(t)
	var cas atomic.Pointer[x509.CertPool]
	cas.Store(poolOf(t, old))
	h := newHouse(t, func(o *Options) { o.ClientCAs = cas.Load })
	client := &tls.Config{Certificates: []tls.Certificate{*old}, ClientSessionCache: tls.NewLRUClientSessionCache(1), ServerName: hostname}
	if ok, _ := greets(h.smtps, client); !ok {
		t.Fatal("the certificate is refused")
	}
	if ok, resumed := greets(h.smtps, client); !ok || !resumed {
		t.Fatalf("let in %v, resumed %v: this test needs sessions that are resumed", ok, resumed)
	}
	cas.Store(poolOf(t, next))
	if ok, _ := greets(h.smtps, &tls.Config{
		ClientSessionCache: client.ClientSessionCache, ServerName: hostname,
		// Shows what it has whatever the CAs are that the server names.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return old, nil },
	}); ok {
		t.Error("a certificate of a CA that was withdrawn is let in")
	}
}
