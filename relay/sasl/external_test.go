package sasl

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestExternal(t *testing.T) {
	t.Parallel()
	m := newMechanisms(t, Options{})
	for _, tc := range []struct {
		name        string
		certificate []string
		identity    string
		want        error
		user        string
	}{
		{"no identity", []string{"URI:x://y/z", "DNS:c.test", "CN:c"}, "", nil, "c"},
		{"own identity", []string{"CN:c"}, "c", nil, "c"},
		{"another's identity", []string{"CN:c"}, "d", ErrCredentials, "d"},
		{"unknown identity", []string{"CN:c"}, "nobody", ErrCredentials, "nobody"},
		{"user without certificate", []string{"CN:c"}, "u", ErrCredentials, "u"},
		{"certificate of nobody", []string{"CN:nobody"}, "", ErrCredentials, ""},
		{"name of another kind", []string{"DNS:c"}, "", ErrCredentials, ""},
		{"certificate of two users", []string{"CN:c", "CN:d"}, "", ErrCredentials, ""},
		{"certificate of two users, one asked for", []string{"CN:c", "CN:d"}, "d", nil, "d"},
		{"one factor of two", []string{"CN:both"}, "", ErrNeedsSecret, "both"},
		{"long identity", []string{"CN:c"}, strings.Repeat("x", maxField+1), ErrMalformed, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			x := begin(t, m, "EXTERNAL", Client{Certificate: tc.certificate})
			if challenge, done, err := x.Next(nil); len(challenge) > 0 || done || err != nil {
				t.Fatalf("without initial response: %q, %v, %v", challenge, done, err)
			}
			_, done, err := x.Next([]byte(tc.identity))
			checkEnd(t, x, done, err, tc.want, tc.user)
		})
	}
}

// TestTwoFactors wants a certificate besides each mechanism for a password or token, and
// the answer to a wrong password where it is missing.
func TestTwoFactors(t *testing.T) {
	t.Parallel()
	m := newMechanisms(t, Options{Tokens: HashedTokens{testUsers()}})
	for _, tc := range []struct {
		name, certificate, password string
		want                        error
	}{
		{"both", "CN:both", password, nil},
		{"no certificate", "", password, ErrCredentials},
		{"another's certificate", "CN:c", password, ErrCredentials},
		{"wrong password", "CN:both", "wrong", ErrCredentials},
		{"neither", "", "wrong", ErrCredentials},
	} {
		client := Client{Certificate: []string{tc.certificate}}
		plain := begin(t, m, "PLAIN", client)
		_, done, err := plain.Next([]byte("\x00both\x00" + tc.password))
		checkEnd(t, plain, done, err, tc.want, "both")

		scram := begin(t, m, "SCRAM-SHA-256", client)
		done, err = converse(scram, scramClient(t, "both", tc.password, "").NewConversation())
		checkEnd(t, scram, done, err, tc.want, "both")
	}
	for _, tc := range []struct {
		certificate string
		want        error
	}{{"CN:token2", nil}, {"", ErrCredentials}} {
		bearer := begin(t, m, "XOAUTH2", Client{Certificate: []string{tc.certificate}})
		_, done, err := bearer.Next([]byte("user=token2\x01auth=Bearer " + token + "3\x01\x01"))
		checkEnd(t, bearer, done, err, tc.want, "token2")
	}
}

// TestMissingCertificateDoesNotTellThatThePasswordIsRight: a password that was right before
// is remembered, and must not be found again without the certificate.
func TestMissingCertificateDoesNotTellThatThePasswordIsRight(t *testing.T) {
	t.Parallel()
	m := newMechanisms(t, Options{})
	with := attempt{Mechanisms: m, client: Client{Certificate: []string{"CN:both"}}}
	if err := with.checkPassword("both", password); err != nil {
		t.Fatal(err)
	}
	known := hashPair(m.passwords.key[:], "both", password)
	if user, _ := m.users.Lookup("both"); !m.passwords.known.get(known).isOf(user, time.Now()) {
		t.Fatal("the login is not remembered")
	}
	without := attempt{Mechanisms: m}
	if user, err := without.find("both"); user != nil || err == nil {
		t.Errorf("found %v, %v", user, err)
	}
	if salt := factors(t, m, "both"); strings.HasPrefix(salt, testUsers()["both"].Passwords[0].Salt) {
		t.Error("SCRAM shows the salt of a user who cannot log in with a password here")
	}
}

func TestCertificateNames(t *testing.T) {
	t.Parallel()
	uri, err := url.Parse("mailrelay://shop/app")
	if err != nil {
		t.Fatal(err)
	}
	got := CertificateNames(&x509.Certificate{
		URIs: []*url.URL{uri}, DNSNames: []string{"app.test"}, EmailAddresses: []string{"app@example.com"},
		Subject: pkix.Name{CommonName: "app"},
	})
	if want := []string{"URI:mailrelay://shop/app", "DNS:app.test", "email:app@example.com"}; !reflect.DeepEqual(got, want) {
		t.Errorf("names %q, want %q", got, want)
	}
	subject := pkix.Name{CommonName: "app"}
	if got := CertificateNames(&x509.Certificate{Subject: subject}); !slices.Equal(got, []string{"CN:app"}) {
		t.Errorf("names %q of a certificate with a common name alone", got)
	}
	if got := CertificateNames(&x509.Certificate{Subject: subject, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}}); len(got) != 0 {
		t.Errorf("names %q of a certificate of an address", got)
	}
	if got := CertificateNames(&x509.Certificate{}); len(got) != 0 {
		t.Errorf("names %q of a certificate without any", got)
	}
}

func TestURIWithAKeyIsANameOnlyOfThatKey(t *testing.T) {
	t.Parallel()
	uri := &url.URL{Scheme: "mailrelay", Host: "shop", Path: "/app/" + config.KeyName([]byte("a key"))}
	cert := &x509.Certificate{URIs: []*url.URL{uri}, RawSubjectPublicKeyInfo: []byte("a key"), Subject: pkix.Name{CommonName: "app"}}
	if got := CertificateNames(cert); !slices.Equal(got, []string{"URI:" + uri.String()}) {
		t.Errorf("names %q", got)
	}
	cert.RawSubjectPublicKeyInfo = []byte("another key")
	if got := CertificateNames(cert); len(got) != 0 {
		t.Errorf("names %q of a certificate of another key", got)
	}
}
