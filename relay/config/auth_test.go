package config

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"
)

func TestAuthIsChecked(t *testing.T) {
	t.Parallel()
	const (
		password = "usernameFile: u, passwordFile: p"
		refresh  = "usernameFile: u, oauth2: {tokenURL: https://login.test/token, clientIDFile: i, refreshTokenFile: r, scopes: [https://mail.test/, offline]}"
		client   = "usernameFile: u, oauth2: {tokenURL: 'http://127.0.0.1:80/token', clientIDFile: i, clientSecretFile: s}"
		keyPair  = "certificate: {certFile: c, keyFile: k}"
	)
	for _, tc := range []struct {
		name, auth string
		// want is empty for what can be used.
		want string
	}{
		{"password", password, ""},
		{"password by SCRAM", "mechanism: SCRAM-SHA-256, " + password, ""},
		{"refresh token", "mechanism: XOAUTH2, " + refresh, ""},
		{"client credentials", client, ""},
		{"certificate", keyPair, ""},
		{"certificate for a user", "mechanism: EXTERNAL, usernameFile: u, " + keyPair, ""},
		{"certificate and password", "mechanism: PLAIN, " + password + ", " + keyPair, ""},
		{"certificate and tokens", refresh + ", " + keyPair, ""},

		{"unknown mechanism", "mechanism: NTLM, " + password, `auth.mechanism: "NTLM" is not possible: write PLAIN, LOGIN, SCRAM-SHA-256, XOAUTH2, OAUTHBEARER or EXTERNAL`},
		{"only a mechanism", "mechanism: PLAIN", "auth.usernameFile: missing"},
		{"password without user", "passwordFile: p", "auth.usernameFile: missing"},
		{"tokens without user", strings.TrimPrefix(client, "usernameFile: u, "), "auth.usernameFile: missing"},
		{"password and tokens", "passwordFile: p, " + client, "auth.passwordFile: a password and oauth2 are two ways to log in"},
		{"tokens without a source", "mechanism: OAUTHBEARER, " + password, "auth.mechanism: OAUTHBEARER needs tokens: write oauth2"},
		{"EXTERNAL without a certificate", "mechanism: EXTERNAL, " + password, "auth.mechanism: EXTERNAL needs a client certificate"},
		{"PLAIN with tokens", "mechanism: PLAIN, " + client, "auth.mechanism: PLAIN needs a password"},
		{"SCRAM with a certificate alone", "mechanism: SCRAM-SHA-256, usernameFile: u, " + keyPair, "auth.mechanism: SCRAM-SHA-256 needs a password"},
		{"half a certificate", "certificate: {certFile: c}", "auth.certificate: certFile and keyFile go together"},
		{"no token URL", "usernameFile: u, oauth2: {clientIDFile: i, clientSecretFile: s}", "auth.oauth2.tokenURL: missing"},
		{"no client ID", "usernameFile: u, oauth2: {tokenURL: https://login.test/, clientSecretFile: s}", "auth.oauth2.clientIDFile: missing"},
		{"no secret of any kind", "usernameFile: u, oauth2: {tokenURL: https://login.test/, clientIDFile: i}", "auth.oauth2.clientSecretFile: missing"},
		{"token URL in plaintext", strings.Replace(refresh, "https://login", "http://login", 1), "auth.oauth2.tokenURL: must begin with https"},
		{"token URL with a password", strings.Replace(refresh, "https://", "https://u:hunter2@", 1), "auth.oauth2.tokenURL: must have neither a user nor a fragment"},
		{"token URL that is none", strings.Replace(refresh, "https://login.test/token", "login.test", 1), "auth.oauth2.tokenURL: not a URL"},
		{"two scopes in one", strings.Replace(refresh, "[https://mail.test/, offline]", "['a b']", 1), "auth.oauth2.scopes: a scope is empty, or has a space"},
		{"unknown field", strings.Replace(refresh, "refreshTokenFile", "refreshToken", 1), `auth.oauth2: unknown field "refreshToken"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(minimal + "    auth: {" + tc.auth + "}\n"))
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("Parse = %v", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), "upstreams[0]."+tc.want) || strings.Contains(err.Error(), "hunter2")):
				t.Errorf("Parse = %v\nwant it to say %q", err, tc.want)
			}
		})
	}
}

func TestTokensAndCertificatesNeedTLS(t *testing.T) {
	t.Parallel()
	for auth, want := range map[string]string{
		"usernameFile: u, passwordFile: p": "",
		"usernameFile: u, oauth2: {tokenURL: https://login.test/, clientIDFile: i, clientSecretFile: s}": "upstreams[0].auth.oauth2: tokens must not travel unencrypted",
		"certificate: {certFile: c, keyFile: k}":                                                         "upstreams[0].auth.certificate: is shown in the TLS handshake",
	} {
		plaintext := "tls: None\n    plaintextAcknowledgement: " + PlaintextAcknowledgement + "\n    auth: {" + auth + "}"
		_, err := Parse([]byte(strings.Replace(minimal, "tls: Implicit", plaintext, 1)))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", auth, err, want)
		}
	}
}

// withTokens gives the upstream of a site everything that OAuth2 and a certificate need.
func (s site) withTokens() {
	s.t.Helper()
	s.edit("relay.yaml", "auth: {usernameFile: upstreams/user, passwordFile: upstreams/password}", `auth:
      usernameFile: upstreams/user
      oauth2:
        tokenURL: https://login.test/token
        clientIDFile: upstreams/client-id
        clientSecretFile: upstreams/client-secret
        refreshTokenFile: upstreams/refresh-token
        caFile: upstreams/ca.crt
      certificate: {certFile: upstreams/tls.crt, keyFile: upstreams/tls.key}`)
	for _, name := range []string{"client-id", "client-secret", "refresh-token"} {
		s.write("upstreams/"+name, name+"\n")
	}
	s.certificate("upstreams/tls", time.Now().Add(time.Hour))
}

func TestLoadReadsTokensAndCertificateOfAnUpstream(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	site.withTokens()
	l := site.loader(LoaderOptions{})
	s := mustLoad(t, l)
	if len(s.Errors) != 0 || len(s.Upstreams) != 1 {
		t.Fatalf("errors %v, %d upstreams", s.Errors, len(s.Upstreams))
	}
	first := s.Upstreams[0]
	if want := (Login{Username: "app", ClientID: "client-id", ClientSecret: "client-secret", RefreshToken: "refresh-token"}); first.Login != want {
		t.Error("the login is not what the files hold")
	}
	if first.ClientCertificate == nil || first.TokenRootCAs == nil {
		t.Fatal("the certificate or the CA of the token endpoint is not loaded")
	}
	if again := mustLoad(t, l).Upstreams[0]; again.ClientCertificate != first.ClientCertificate {
		t.Error("a certificate that did not change is another one")
	}

	site.certificate("upstreams/tls", time.Now().Add(2*time.Hour))
	token := rand.Text()
	site.write("upstreams/refresh-token", token)
	if !l.changed() {
		t.Error("a new refresh token is no change")
	}
	second := mustLoad(t, l).Upstreams[0]
	if second.RefreshToken != token || second.ClientCertificate == first.ClientCertificate {
		t.Error("a refresh token or certificate that was replaced is still in use")
	}

	site.write("upstreams/client-secret", "")
	s = mustLoad(t, l)
	if len(s.Errors) != 1 || s.Upstreams[0].Login != second.Login {
		t.Errorf("errors %v, or the last good login is not kept whole", s.Errors)
	}
}

func TestLoadLeavesOutUpstreamWithoutItsCertificate(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	site.withTokens()
	_, key := keyPairPEM(t, time.Now().Add(time.Hour))
	site.write("upstreams/tls.key", key)
	if s := mustLoad(t, site.loader(LoaderOptions{})); len(s.Upstreams) != 0 || len(s.Errors) != 1 {
		t.Errorf("%d upstreams, errors %v", len(s.Upstreams), s.Errors)
	}
}

func TestCredentialThatChangesItsPlaceIsReadAnew(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	site.withTokens()
	site.edit("relay.yaml", "        clientSecretFile: upstreams/client-secret\n", "")
	l := site.loader(LoaderOptions{})
	if u := mustLoad(t, l).Upstreams[0]; u.ClientSecret != "" || u.RefreshToken != "refresh-token" {
		t.Fatal("the login is not what the files hold")
	}
	site.edit("relay.yaml", "refreshTokenFile: ", "clientSecretFile: ")
	if u := mustLoad(t, l).Upstreams[0]; u.ClientSecret != "refresh-token" || u.RefreshToken != "" {
		t.Error("a credential is used for what it is not any more")
	}
}
