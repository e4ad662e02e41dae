package config

import (
	"crypto/tls"
	"crypto/x509"
)

// Snapshot is one consistent reading of the configuration and of all that it points at.
// It is never changed once made.
type Snapshot struct {
	Config *Config
	// Internal is served to clients that name no other host.
	Internal *tls.Certificate
	// External is served by SNI; nil when there is none.
	External *tls.Certificate
	// ClientCAs sign certificates of users; nil when clients are not asked for one.
	ClientCAs *x509.CertPool
	// StatusClientCAs may read the status port; nil when it is off.
	StatusClientCAs *x509.CertPool
	// TokenKeys are those of the issuer of signed tokens; nil while none can be had.
	TokenKeys *TokenKeys
	// Users by SASL user name.
	Users map[string]User
	// Upstreams with their credentials, in the order of the configuration. One whose files
	// cannot be used is left out: without its login or CA it must not be tried.
	Upstreams []ResolvedUpstream
	// DKIM are the keys to sign with, in the order of the configuration.
	DKIM []ResolvedDKIMKey
	// Loaded maps each directory read to the DirHash of the content in use.
	Loaded map[string]string
	// Errors are the parts whose newest content could not be used.
	Errors []error
}

// CertificateFor is what a client is shown that asks by SNI for a host, empty for none: the
// external certificate when it is for that host, otherwise the internal one.
func (s *Snapshot) CertificateFor(host string) *tls.Certificate {
	if s.External != nil && host != "" && s.External.Leaf.VerifyHostname(host) == nil {
		return s.External
	}
	return s.Internal
}

// Certificates are what the listeners serve.
func (s *Snapshot) Certificates() []CertificateReport {
	var served []CertificateReport
	for _, c := range []struct {
		name string
		pair *tls.Certificate
	}{{InternalCertificate, s.Internal}, {ExternalCertificate, s.External}} {
		if c.pair != nil {
			served = append(served, CertificateReport{
				Name: c.name, NotAfter: c.pair.Leaf.NotAfter, Fingerprint: Fingerprint(c.pair.Leaf),
			})
		}
	}
	return served
}

// ResolvedUpstream is an Upstream with what its files hold.
type ResolvedUpstream struct {
	Upstream
	// Login is what to log in with; the zero Login means nothing.
	Login
	// ClientCertificate is shown in the TLS handshake; nil for none. It is the same pointer for
	// as long as its files do not change.
	ClientCertificate *tls.Certificate
	// RootCAs to verify the upstream with; nil means the public roots.
	RootCAs *x509.CertPool
	// TokenRootCAs to verify the token endpoint with; nil means the public roots.
	TokenRootCAs *x509.CertPool
}

// Login is what the files of an Auth hold.
type Login struct {
	Username, Password string
	// ClientID, ClientSecret and RefreshToken get tokens from the token endpoint.
	ClientID, ClientSecret, RefreshToken string
}
