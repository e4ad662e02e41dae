package relay_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net"
	"net/smtp"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// external logs in as whom the certificate says.
type external struct{}

func (external) Start(*smtp.ServerInfo) (string, []byte, error) { return "EXTERNAL", nil, nil }

func (external) Next(_ []byte, more bool) ([]byte, error) {
	if more {
		return []byte{}, nil
	}
	return nil, nil
}

// xoauth2 logs in with a token, and answers its refusal as RFC 7628 has it.
type xoauth2 struct{ user, token string }

func (x xoauth2) Start(*smtp.ServerInfo) (string, []byte, error) {
	return "XOAUTH2", []byte("user=" + x.user + "\x01auth=Bearer " + x.token + "\x01\x01"), nil
}

func (x xoauth2) Next(_ []byte, more bool) ([]byte, error) {
	if more {
		return []byte{1}, nil
	}
	return nil, nil
}

func (a *authority) user(t *testing.T, uri string) tls.Certificate {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	return *a.sign(&x509.Certificate{URIs: []*url.URL{u}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// show connects with a certificate, logs in with it and sends a message.
func (r *running) show(pair tls.Certificate) error {
	c, err := r.present(pair, external{})
	if err != nil {
		return err
	}
	defer c.Close()
	return send(c, body("by certificate"))
}

// showing shows a certificate whatever the CAs are that the relay names.
func showing(pair tls.Certificate) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
}

// present connects with a certificate and logs in.
func (r *running) present(pair tls.Certificate, auth smtp.Auth) (*smtp.Client, error) {
	config := r.tlsConfig()
	config.GetClientCertificate = showing(pair)
	return r.logIn(config, auth)
}

func (r *running) logIn(config *tls.Config, auth smtp.Auth) (*smtp.Client, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", r.Submissions.String(), config)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	c, err := smtp.NewClient(conn, hostname)
	if err != nil {
		return nil, err
	}
	if err := c.Auth(auth); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (s *site) userFile(users ...config.User) {
	s.t.Helper()
	data, err := config.MarshalUserFile(&config.UserFile{Version: config.Version, Users: users})
	s.ca.must(err)
	s.write("users/users.yaml", string(data))
}

func TestCertificateOfAUserFollowsItsCA(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	site := newSite(t, u)
	first, second := newAuthority(t), newAuthority(t)
	relayYAML, err := os.ReadFile(filepath.Join(site.path, "relay.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	site.write("relay.yaml", strings.Replace(string(relayYAML), "\ntls:\n", "\ntls:\n  clientCAFile: clients/ca.crt\n", 1))
	site.write("clients/ca.crt", pemCertificate(first.cert))
	site.userFile(config.User{Name: "cert.shop", Certificates: []string{"URI:mailrelay://shop/cert"}, Senders: []string{"example.com"}})
	r := site.start()
	old, next := first.user(t, "mailrelay://shop/cert"), second.user(t, "mailrelay://shop/cert")
	if err := r.show(old); err != nil {
		t.Fatalf("the user's certificate: %v", err)
	}
	eventually(t, "the message", func() bool { _, found := u.find("by certificate"); return found })
	if err := r.show(next); code(err) != 504 {
		t.Errorf("a certificate of another CA: %v, want 504", err)
	}
	if err := r.show(first.user(t, "mailrelay://shop/other")); code(err) != 535 {
		t.Errorf("a certificate of nobody: %v, want 535", err)
	}
	site.write("clients/ca.crt", pemCertificate(second.cert))
	eventually(t, "the new CA", func() bool { return r.show(next) == nil })
	if err := r.show(old); code(err) != 504 {
		t.Errorf("a certificate of the CA that was withdrawn: %v, want 504", err)
	}
	site.userFile(config.User{Name: "cert.shop"})
	eventually(t, "the certificate is taken away", func() bool { return code(r.show(next)) == 535 })
}

// TestWithdrawnClientCAIsNotHelpedByAnOldSession, and an old session does not keep a client from
// its new certificate.
func TestWithdrawnClientCAIsNotHelpedByAnOldSession(t *testing.T) {
	t.Parallel()
	site := newSite(t, newUpstream(t))
	first, second := newAuthority(t), newAuthority(t)
	site.change(func(c *config.Config) { c.TLS.ClientCAFile = "clients/ca.crt" })
	site.write("clients/ca.crt", pemCertificate(first.cert))
	const uri = "mailrelay://shop/cert"
	site.userFile(config.User{Name: "cert.shop", Certificates: []string{"URI:" + uri}, Senders: []string{"example.com"}})
	r := site.start()
	old, next := first.user(t, uri), second.user(t, uri)
	cache := tls.NewLRUClientSessionCache(1)
	resume := func(pair tls.Certificate) (resumed bool, err error) {
		config := r.tlsConfig()
		config.GetClientCertificate, config.ClientSessionCache = showing(pair), cache
		c, err := r.logIn(config, external{})
		if err != nil {
			return false, err
		}
		defer c.Close()
		state, _ := c.TLSConnectionState()
		return state.DidResume, nil
	}
	for _, want := range []bool{false, true} {
		if resumed, err := resume(old); err != nil || resumed != want {
			t.Fatalf("resumed %v, %v; want %v", resumed, err, want)
		}
	}
	site.write("clients/ca.crt", pemCertificate(second.cert))
	eventually(t, "the new CA", func() bool { return r.show(next) == nil })
	if resumed, err := resume(next); err != nil || resumed {
		t.Errorf("the new certificate, with the session of the old one: resumed %v, %v", resumed, err)
	}
	cache.Put(hostname, nil)
	// The second time resumes the first.
	for range 2 {
		if _, err := resume(old); code(err) != 504 {
			t.Errorf("the certificate of the CA that was withdrawn: %v, want 504", err)
		}
	}
}

// TestSessionsEndWithTheCAOfTheirCertificate, whether it is all that they logged in with or the
// second factor.
func TestSessionsEndWithTheCAOfTheirCertificate(t *testing.T) {
	t.Parallel()
	site := newSite(t, newUpstream(t))
	first, second := newAuthority(t), newAuthority(t)
	site.change(func(c *config.Config) { c.TLS.ClientCAFile = "clients/ca.crt" })
	site.write("clients/ca.crt", pemCertificate(first.cert)+pemCertificate(second.cert))
	site.userFile(
		config.User{Name: "cert.shop", Certificates: []string{"URI:mailrelay://shop/cert"}, Senders: []string{"example.com"}},
		config.User{
			Name: "both.shop", Certificates: []string{"URI:mailrelay://shop/both"}, Require: config.RequireAll,
			Passwords: []config.Verifier{site.verifier}, Senders: []string{"example.com"},
		},
	)
	r := site.start()
	open := func(a *authority, uri string, auth smtp.Auth) *smtp.Client {
		t.Helper()
		c, err := r.present(a.user(t, uri), auth)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	password := smtp.PlainAuth("", "both.shop", site.password, hostname)
	stays := open(second, "mailrelay://shop/cert", external{})
	ends := map[string]*smtp.Client{
		"by certificate": open(first, "mailrelay://shop/cert", external{}),
		"two factors":    open(first, "mailrelay://shop/both", password),
	}
	site.write("clients/ca.crt", pemCertificate(second.cert))
	mustEnd(t, ends, "421 4.7.0 What this session logged in with is no longer valid")
	if err := send(stays, body("still here")); err != nil {
		t.Errorf("the certificate of the CA that stays: %v", err)
	}
}

// What else the CA of users signs: the relay's own certificate, and one with the name of a user's
// key that someone had signed for a key of their own.
func TestOtherCertificatesOfTheSameCAAreNobodys(t *testing.T) {
	t.Parallel()
	site := newSite(t, newUpstream(t))
	clients := newAuthority(t)
	site.change(func(c *config.Config) { c.TLS.ClientCAFile = "clients/ca.crt" })
	site.write("clients/ca.crt", pemCertificate(clients.cert))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	uri := "mailrelay://shop/cert/" + config.KeyName(public)
	site.userFile(config.User{Name: "cert.shop", Certificates: []string{"URI:" + uri}, Senders: []string{"example.com"}})
	r := site.start()
	for name, tc := range map[string]struct {
		pair tls.Certificate
		want string
	}{
		"a user's URI with another key": {clients.user(t, uri), "has no name"},
		"a server's certificate":        {*clients.server("cert.shop"), "none of the CAs"},
		"the operator's certificate":    {*site.operator.client(), "none of the CAs"},
	} {
		if err := r.show(tc.pair); code(err) != 504 || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want 504 and %q", name, err, tc.want)
		}
	}
}

func TestTokenOfAUserIsLetInAndShutOutWithoutRestart(t *testing.T) {
	t.Parallel()
	site := newSite(t, newUpstream(t))
	r := site.start()
	token := rand.Text()
	sum := sha256.Sum256([]byte(token))
	auth := xoauth2{"token.shop", token}
	_, offered := r.dial(t, "submissions").Extension("AUTH")
	if strings.Contains(offered, "XOAUTH2") {
		t.Errorf("offered without any token: %s", offered)
	}
	site.userFile(config.User{Name: "token.shop", Tokens: []string{hex.EncodeToString(sum[:])}, Senders: []string{"example.com"}})
	for _, service := range []string{"submissions", "submission"} {
		eventually(t, "the token on "+service, func() bool { return r.dial(t, service).Auth(auth) == nil })
	}
	site.userFile(config.User{Name: "token.shop", Tokens: []string{strings.Repeat("00", 32)}})
	eventually(t, "the token is taken away", func() bool { return code(r.dial(t, "submissions").Auth(auth)) == 535 })
	if strings.Contains(site.log.String(), token) {
		t.Error("the token is in the log")
	}
}

// TestKeysOfTheIssuerAreFollowedWithoutRestart: an issuer that changes its keys publishes the
// new ones beside the old ones, and later without them.
func TestKeysOfTheIssuerAreFollowedWithoutRestart(t *testing.T) {
	t.Parallel()
	first, next := newIssuer(t), newIssuer(t)
	next.id = "next"
	site := newSite(t, newUpstream(t))
	site.change(func(c *config.Config) {
		c.Users.Tokens = config.Tokens{Audience: tokenAudience, KeysFile: "tokens/keys.json"}
	})
	site.userFile(config.User{Name: "checkout.shop", Subjects: []string{"system:serviceaccount:shop:checkout"}, Senders: []string{"example.com"}})
	r := site.start()
	login := func(i *issuer) int {
		token, err := i.token("checkout")
		site.ca.must(err)
		return code(r.dial(t, "submissions").Auth(xoauth2{"checkout.shop", token}))
	}
	if got := login(first); got != 454 {
		t.Errorf("before there are keys: %d", got)
	}
	if r.status(t).TokenKeyMissed.IsZero() {
		t.Error("the status does not tell that a key was missed")
	}
	site.write("tokens/keys.json", first.keys(t))
	eventually(t, "the first key", func() bool { return login(first) == 0 })

	if got := login(next); got != 454 {
		t.Errorf("with a key that is not known yet: %d", got)
	}
	site.write("tokens/keys.json", first.keys(t, next))
	eventually(t, "the next key", func() bool { return login(next) == 0 })
	if got := login(first); got != 0 {
		t.Errorf("with the first key, which is still there: %d", got)
	}
	site.write("tokens/keys.json", "broken")
	eventually(t, "the broken file is seen", func() bool { return len(r.status(t).Errors) == 1 })
	if got := login(next); got != 0 {
		t.Errorf("with keys from before: %d", got)
	}
	site.write("tokens/keys.json", next.keys(t))
	eventually(t, "the first key goes", func() bool { return login(first) == 454 })
}
