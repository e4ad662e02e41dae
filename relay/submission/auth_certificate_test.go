package submission

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"maps"
	"math/big"
	"net/url"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// withURI is a client certificate that signed itself.
func withURI(t *testing.T, uri string, change ...func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), URIs: []*url.URL{u},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range change {
		c(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// certified is a server behind a front door, with a user for each way to use a certificate.
type certified struct {
	*fixture
	app, both tls.Certificate
}

func startCertified(t *testing.T, change ...func(*fixture)) certified {
	t.Helper()
	c := certified{app: withURI(t, "mailrelay://shop/app"), both: withURI(t, "mailrelay://shop/both")}
	var submissions string
	c.fixture, submissions, _ = behindFrontDoor(t, append(change, func(f *fixture) {
		f.clientCAs = x509.NewCertPool()
		f.clientCAs.AddCert(c.app.Leaf)
		f.clientCAs.AddCert(c.both.Leaf)
		f.config.TLS.ClientCAFile = "ca.crt"
		f.users.Replace(map[string]config.User{
			testUser: {Name: testUser, Certificates: []string{"URI:mailrelay://shop/app"}, Senders: []string{"example.com"}},
			"both.shop": {
				Name: "both.shop", Certificates: []string{"URI:mailrelay://shop/both"}, Require: config.RequireAll,
				Passwords: []config.Verifier{testVerifier()}, Senders: []string{"example.com"},
			},
		})
	})...)
	c.address = submissions
	return c
}

func (c certified) show(pair tls.Certificate) *client {
	return c.dialWith(&tls.Config{Certificates: []tls.Certificate{pair}})
}

func TestExternalIsOfferedToThoseWithACertificate(t *testing.T) {
	t.Parallel()
	f := startCertified(t)
	if got := f.show(f.app).offered(); got != "PLAIN LOGIN SCRAM-SHA-256 EXTERNAL" {
		t.Errorf("offered to a client with certificate: %s", got)
	}
	c := f.connect()
	if got := c.offered(); got != "PLAIN LOGIN SCRAM-SHA-256" {
		t.Errorf("offered to a client without certificate: %s", got)
	}
	c.do("AUTH EXTERNAL =", "504 5.5.4 ")
}

func TestCertificateLogsIn(t *testing.T) {
	t.Parallel()
	f := startCertified(t)
	for name, dialogue := range map[string][][2]string{
		"no identity":                     {{"AUTH EXTERNAL =", "235 2.7.0 "}},
		"own identity":                    {{"AUTH EXTERNAL " + b64(testUser), "235 2.7.0 "}},
		"asked for, no identity":          {{"AUTH EXTERNAL", "334 "}, {"", "235 2.7.0 "}},
		"asked for, written empty":        {{"AUTH EXTERNAL", "334 "}, {"=", "235 2.7.0 "}},
		"asked for, own identity":         {{"AUTH EXTERNAL", "334 "}, {b64(testUser), "235 2.7.0 "}},
		"another's identity, then no one": {{"AUTH EXTERNAL " + b64("both.shop"), "535 5.7.8 "}, {"AUTH EXTERNAL =", "235 "}},
		"cancelled, then again":           {{"AUTH EXTERNAL", "334 "}, {"*", "501 5.7.0 "}, {"AUTH EXTERNAL =", "235 "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := f.show(f.app)
			for _, x := range dialogue {
				c.do(x[0], x[1])
			}
			c.do("MAIL FROM:<app@example.com>", "250 ")
		})
	}
}

func TestTwoFactorsAreBothNeeded(t *testing.T) {
	t.Parallel()
	f := startCertified(t)
	right := "AUTH PLAIN " + plainResponse("", "both.shop", testPassword)
	wrong := "AUTH PLAIN " + plainResponse("", "both.shop", "wrong")

	c := f.show(f.both)
	c.do("AUTH EXTERNAL =", "534 5.7.9 The certificate alone is not enough for this user")
	c.do("MAIL FROM:<app@example.com>", "530 ")
	c.do(wrong, "535 5.7.8 ")
	c.do(right, "235 2.7.0 ")
	c.do("MAIL FROM:<app@example.com>", "250 ")
	c = f.show(f.both)
	c.expectReply(c.scram("SCRAM-SHA-256", scramClient(t, "both.shop", testPassword).NewConversation()), "235 2.7.0 ")

	for name, open := range map[string]func() *client{
		"no certificate":        f.connect,
		"another's certificate": func() *client { return f.show(f.app) },
	} {
		c := open()
		answers := []string{c.do(wrong, "535 5.7.8 "), c.do(right, "535 5.7.8 "),
			c.do("AUTH PLAIN "+plainResponse("", "nobody", testPassword), "535 5.7.8 "),
			c.scram("SCRAM-SHA-256", scramClient(t, "both.shop", testPassword).NewConversation())}
		for _, answer := range answers {
			if answer != answers[0] {
				t.Errorf("%s: the answers differ: %q", name, answers)
			}
		}
	}
}

// TestCertificateThatIsNotVerifiedIsNone: the certificates have a user's URI, whom none lets in.
func TestCertificateThatIsNotVerifiedIsNone(t *testing.T) {
	t.Parallel()
	const uri = "mailrelay://shop/app"
	of := func(change func(*x509.Certificate)) tls.Certificate { return withURI(t, uri, change) }
	foreign := withURI(t, uri)
	ours := map[string]tls.Certificate{
		"ended":           of(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }),
		"not begun":       of(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }),
		"of a server":     of(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
		"of a programmer": of(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }),
	}
	f, submissions, submission := behindFrontDoor(t, func(f *fixture) {
		f.clientCAs = x509.NewCertPool()
		for _, pair := range ours {
			f.clientCAs.AddCert(pair.Leaf)
		}
		f.config.TLS.ClientCAFile = "ca.crt"
		f.users.Replace(usersOf(config.User{
			Certificates: []string{"URI:" + uri}, Passwords: []config.Verifier{testVerifier()}, Senders: []string{"example.com"},
		}))
	})
	f.address = submissions
	shown := maps.Clone(ours)
	shown["of another CA"] = foreign
	for name, pair := range shown {
		// Shown whatever the CAs are that the relay names.
		show := &tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }}
		for port, open := range map[string]func() *client{
			"465": func() *client { return f.dialWith(show) },
			"587": func() *client { return f.startTLSWith(submission, show) },
		} {
			t.Run(name+", "+port, func(t *testing.T) {
				c := open()
				if got := c.offered(); got != "PLAIN LOGIN SCRAM-SHA-256" {
					t.Errorf("offered: %s", got)
				}
				c.do("AUTH EXTERNAL =", "504 5.5.4 Mechanism not offered: use one of PLAIN, LOGIN, SCRAM-SHA-256; the client certificate has ended, or ")
				c.do("MAIL FROM:<app@example.com>", "530 ")
				c.do("AUTH PLAIN "+plainResponse("", testUser, testPassword), "235 2.7.0 ")
				c.do("MAIL FROM:<app@example.com>", "250 ")
				f.server.EndRevoked()
				c.do("NOOP", "250 ")
			})
		}
	}
}
