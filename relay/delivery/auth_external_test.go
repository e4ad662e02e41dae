package delivery

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// clientCertificate is one that no CA signed.
func clientCertificate(t *testing.T, name string) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestClientCertificateLogsIn(t *testing.T) {
	t.Parallel()
	password := rand.Text()
	tests := []struct {
		name, offered string
		login         config.Login
		want          string
	}{
		{"by EXTERNAL", "PLAIN EXTERNAL", config.Login{}, "AUTH EXTERNAL ="},
		{"by EXTERNAL, as a user", "PLAIN EXTERNAL", config.Login{Username: account}, "AUTH EXTERNAL " + encode(account)},
		{"by the handshake", "PLAIN", config.Login{}, ""},
		{"with a password", "PLAIN EXTERNAL", config.Login{Username: account, Password: password}, "AUTH PLAIN " + encode("\x00"+account+"\x00"+password)},
	}
	for _, mode := range []config.TLSMode{config.TLSImplicit, config.TLSStartTLS} {
		for _, test := range tests {
			t.Run(test.name+" "+string(mode), func(t *testing.T) {
				t.Parallel()
				keywords := []string{"AUTH " + test.offered, "STARTTLS"}
				srv := newServer(t, script{mode: mode, wantCertificate: true, keywords: keywords, logins: newLogins(t, password, "CN:relay")})
				u := srv.upstream()
				u.Login, u.ClientCertificate = test.login, clientCertificate(t, "relay")
				mustDeliver(t, newTestPool(t, u), mail(greeting))
				login := ""
				if i := slices.IndexFunc(srv.said(), func(s string) bool { return strings.HasPrefix(s, "AUTH") }); i >= 0 {
					login = srv.said()[i]
				}
				if login != test.want {
					t.Errorf("logged in by %q, want %q", login, test.want)
				}
			})
		}
	}
}

func TestClientCertificateFaults(t *testing.T) {
	t.Parallel()
	for _, mode := range []config.TLSMode{config.TLSImplicit, config.TLSStartTLS} {
		srv := newServer(t, script{mode: mode, wantCertificate: true, keywords: []string{"AUTH EXTERNAL", "STARTTLS"}, logins: newLogins(t, "", "CN:relay")})
		u := srv.upstream()
		err := mustFail(t, newTestPool(t, u), mail(greeting))
		if err.Class != ClassTLS || !strings.Contains(err.Text, "whether it wants a client certificate") {
			t.Errorf("none, %s: %+v", mode, err)
		}
		u.ClientCertificate = clientCertificate(t, "stranger")
		if err := mustFail(t, newTestPool(t, u), mail(greeting)); err.Class != ClassAuthentication || err.Code != 535 {
			t.Errorf("that of another, %s: %+v", mode, err)
		}
	}
}

func TestOtherClientCertificateNeedsOtherConnections(t *testing.T) {
	t.Parallel()
	a := config.ResolvedUpstream{ClientCertificate: clientCertificate(t, "relay")}
	b := a
	if !sameUpstream(a, b) {
		t.Error("the same certificate needs other connections")
	}
	if b.ClientCertificate = clientCertificate(t, "relay"); sameUpstream(a, b) {
		t.Error("connections are used on with a certificate that was replaced")
	}
}
