package frontdoor

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
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

// always shows a certificate whatever the CAs are that the server names, and counts how often.
func always(pair *tls.Certificate, asked *int) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		*asked++
		return pair, nil
	}
}

func TestClientCertificateIsAskedForAndNoneIsTurnedAway(t *testing.T) {
	t.Parallel()
	known, unknown := newCertificate(t), newCertificate(t)
	for _, tc := range []struct {
		name       string
		cas, shown *tls.Certificate
		asked      int
	}{
		{"no CAs", nil, known, 0},
		{"client without certificate", known, &tls.Certificate{}, 1},
		{"certificate of a CA", known, known, 1},
		{"certificate of no CA", known, unknown, 1},
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
				asked := 0
				ok, _ := greets(h.smtps, &tls.Config{MinVersion: version, MaxVersion: version, GetClientCertificate: always(tc.shown, &asked)})
				if asked != tc.asked || !ok {
					t.Errorf("asked %d times, let in %v; want %d, true", asked, ok, tc.asked)
				}
			})
		}
	}
}

func TestClientCAsAreNamedToClients(t *testing.T) {
	t.Parallel()
	known := newCertificate(t)
	pool := poolOf(t, known)
	h := newHouse(t, func(o *Options) { o.ClientCAs = func() *x509.CertPool { return pool } })
	var named [][]byte
	greets(h.smtps, &tls.Config{GetClientCertificate: func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		named = info.AcceptableCAs
		return &tls.Certificate{}, nil
	}})
	leaf, err := x509.ParseCertificate(known.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if len(named) != 1 || !bytes.Equal(named[0], leaf.RawSubject) {
		t.Errorf("named: %q", named)
	}
}

// TestNewClientCAsAskWhoResumesASession: a session would bring the certificate that it began with.
func TestNewClientCAsAskWhoResumesASession(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			old, next := newCertificate(t), newCertificate(t)
			var cas atomic.Pointer[x509.CertPool]
			h := newHouse(t, func(o *Options) { o.ClientCAs = cas.Load })
			asked, cache := 0, tls.NewLRUClientSessionCache(1)
			dial := func(shown *tls.Certificate, wantAsked int, wantResumed bool) {
				t.Helper()
				asked = 0
				ok, resumed := greets(h.smtps, &tls.Config{
					MinVersion: version, MaxVersion: version, ClientSessionCache: cache, ServerName: hostname,
					GetClientCertificate: always(shown, &asked),
				})
				if !ok || asked != wantAsked || resumed != wantResumed {
					t.Errorf("let in %v, asked %d times, resumed %v; want true, %d, %v", ok, asked, resumed, wantAsked, wantResumed)
				}
			}
			dial(old, 0, false)
			dial(old, 0, true)
			cas.Store(poolOf(t, old))
			dial(old, 1, false)
			dial(old, 0, true)
			cas.Store(poolOf(t, next))
			dial(next, 1, false)
			dial(next, 0, true)
			cas.Store(nil)
			dial(next, 0, false)
		})
	}
}
