package config

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Auth is how the relay logs in at an upstream: with a password, with OAuth2 tokens or with a
// client certificate, which may come with either. The zero Auth means no login.
type Auth struct {
	// Mechanism is one of the Auth constants, or empty for the best that the upstream offers
	// and that can be used with what is set here.
	Mechanism string `yaml:"mechanism,omitempty"`
	// UsernameFile holds the user name, PasswordFile the password. A final newline is not part
	// of them, nor of any other credential.
	UsernameFile string `yaml:"usernameFile,omitempty"`
	PasswordFile string `yaml:"passwordFile,omitempty"`
	// OAuth2 says where tokens come from.
	OAuth2 OAuth2 `yaml:"oauth2,omitempty"`
	// Certificate is shown in the TLS handshake. Alone it logs in by EXTERNAL where the upstream
	// offers that, and by the handshake itself elsewhere.
	Certificate KeyPair `yaml:"certificate,omitempty"`
}

// The mechanisms of Auth.
const (
	AuthPlain       = "PLAIN"         // RFC 4616
	AuthLogin       = "LOGIN"         // without a standard
	AuthSCRAM       = "SCRAM-SHA-256" // RFC 7677
	AuthXOAuth2     = "XOAUTH2"       // documented by Google and Microsoft
	AuthOAuthBearer = "OAUTHBEARER"   // RFC 7628
	AuthExternal    = "EXTERNAL"      // RFC 4422 appendix A
)

// OAuth2 says how tokens are got from a token endpoint (RFC 6749).
type OAuth2 struct {
	// TokenURL is the token endpoint: https, or http to this host itself.
	TokenURL string `yaml:"tokenURL,omitempty"`
	// ClientIDFile and ClientSecretFile hold what the relay is registered with.
	ClientIDFile     string `yaml:"clientIDFile,omitempty"`
	ClientSecretFile string `yaml:"clientSecretFile,omitempty"`
	// RefreshTokenFile holds a refresh token, with which tokens are got in the name of a user
	// (RFC 6749 §6). Without it the relay asks in its own (client credentials, §4.4).
	RefreshTokenFile string `yaml:"refreshTokenFile,omitempty"`
	// Scopes to ask for.
	Scopes []string `yaml:"scopes,omitempty"`
	// CAFile is a PEM bundle that replaces the public CA roots for the token endpoint.
	CAFile string `yaml:"caFile,omitempty"`
}

// Enabled reports whether anything of it is set.
func (o *OAuth2) Enabled() bool {
	return len(o.Scopes) > 0 || o.TokenURL+o.ClientIDFile+o.ClientSecretFile+o.RefreshTokenFile+o.CAFile != ""
}

// credential is a file with a credential, and where in a Login its content belongs.
type credential struct {
	file  *string
	value func(*Login) *string
}

func (a *Auth) credentials() []credential {
	return []credential{
		{&a.UsernameFile, func(l *Login) *string { return &l.Username }},
		{&a.PasswordFile, func(l *Login) *string { return &l.Password }},
		{&a.OAuth2.ClientIDFile, func(l *Login) *string { return &l.ClientID }},
		{&a.OAuth2.ClientSecretFile, func(l *Login) *string { return &l.ClientSecret }},
		{&a.OAuth2.RefreshTokenFile, func(l *Login) *string { return &l.RefreshToken }},
	}
}

func (a *Auth) filePaths() []*string {
	paths := []*string{&a.OAuth2.CAFile, &a.Certificate.CertFile, &a.Certificate.KeyFile}
	for _, c := range a.credentials() {
		paths = append(paths, c.file)
	}
	return paths
}

func (a *Auth) validate(k *checker, prefix string, mode TLSMode) {
	if a.Mechanism != "" {
		k.oneOf(prefix+"mechanism", a.Mechanism, AuthPlain, AuthLogin, AuthSCRAM, AuthXOAuth2, AuthOAuthBearer, AuthExternal)
	}
	oauth2, certificate := a.OAuth2.Enabled(), a.Certificate != KeyPair{}
	if oauth2 {
		a.OAuth2.validate(k, prefix+"oauth2.")
	}
	if certificate && (a.Certificate.CertFile == "" || a.Certificate.KeyFile == "") {
		k.failf(prefix+"certificate", "certFile and keyFile go together: write both or none")
	}
	if mode == TLSNone && oauth2 {
		k.failf(prefix+"oauth2", "tokens must not travel unencrypted (RFC 6750 §5.3), and tls is None: use Implicit or StartTLS, or a password")
	}
	if mode == TLSNone && certificate {
		k.failf(prefix+"certificate", "is shown in the TLS handshake, and tls is None: use Implicit or StartTLS")
	}
	a.validatePassword(k, prefix)
	a.validateMechanism(k, prefix)
}

// validatePassword wants a user name and something that proves it.
func (a *Auth) validatePassword(k *checker, prefix string) {
	oauth2, certificate := a.OAuth2.Enabled(), a.Certificate != KeyPair{}
	if a.PasswordFile != "" && oauth2 {
		k.failf(prefix+"passwordFile", "a password and oauth2 are two ways to log in: leave out one of them")
	}
	if a.UsernameFile == "" && (a.PasswordFile != "" || oauth2 || a.Mechanism != "" && !certificate) {
		k.failf(prefix+"usernameFile", "missing: write the path of the file that holds the user name, or leave out auth")
	}
	if a.PasswordFile == "" && !oauth2 && !certificate && (a.UsernameFile != "" || a.Mechanism != "") {
		k.failf(prefix+"passwordFile", "missing: write the path of the file that holds the password, or leave out auth")
	}
}

// validateMechanism wants the mechanism to be one that can be used with what is set.
func (a *Auth) validateMechanism(k *checker, prefix string) {
	field := prefix + "mechanism"
	switch a.Mechanism {
	case AuthXOAuth2, AuthOAuthBearer:
		if !a.OAuth2.Enabled() {
			k.failf(field, "%s needs tokens: write oauth2, or another mechanism", a.Mechanism)
		}
	case AuthExternal:
		if a.Certificate == (KeyPair{}) {
			k.failf(field, "EXTERNAL needs a client certificate: write certificate, or another mechanism")
		}
	case AuthPlain, AuthLogin, AuthSCRAM:
		if a.PasswordFile == "" && (a.OAuth2.Enabled() || a.Certificate != KeyPair{}) {
			k.failf(field, "%s needs a password: write passwordFile, or another mechanism", a.Mechanism)
		}
	}
}

func (o *OAuth2) validate(k *checker, prefix string) {
	if problem := tokenURLProblem(o.TokenURL); problem != "" {
		k.failf(prefix+"tokenURL", "%s: write one such as https://login.example.com/oauth2/token", problem)
	}
	if o.ClientIDFile == "" {
		k.failf(prefix+"clientIDFile", "missing: write the path of the file that holds the client ID")
	}
	if o.ClientSecretFile == "" && o.RefreshTokenFile == "" {
		k.failf(prefix+"clientSecretFile", "missing: write the path of the file that holds the client secret, or refreshTokenFile for a client without one")
	}
	if slices.ContainsFunc(o.Scopes, func(s string) bool { return s == "" || strings.ContainsFunc(s, notInScope) }) {
		k.failf(prefix+"scopes", "a scope is empty, or has a space or a quote: write each scope on a line of its own")
	}
}

// tokenURLProblem says what is wrong with a token endpoint, nothing when it can be used. It does
// not repeat the URL, which may hold a credential.
func tokenURLProblem(text string) string {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return "missing"
	case err != nil || u.Hostname() == "":
		return "not a URL"
	case u.User != nil || u.Fragment != "":
		return "must have neither a user nor a fragment"
	case u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()):
		return ""
	}
	return "must begin with https, since it is sent credentials"
}

// isLoopback reports whether a host is this one, whatever the network looks like.
func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

// notInScope reports what a scope-token (RFC 6749 §3.3) cannot hold.
func notInScope(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '\\' }
