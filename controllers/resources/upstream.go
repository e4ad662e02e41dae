package resources

import (
	"cmp"
	"net/url"
	"strconv"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/relay/provider"
)

// UpstreamTLS is how the connection to an upstream is encrypted: by TLS from the first byte,
// unless spec says otherwise, its provider has no port for that, or spec names the provider's
// port for STARTTLS.
func UpstreamTLS(upstream *v1alpha1.Upstream) v1alpha1.UpstreamTLSMode {
	if upstream.TLS != "" {
		return upstream.TLS
	}
	p := provider.Lookup(upstream.Provider)
	if p != nil && p.StartTLS != 0 && (upstream.Port == 0 && p.Implicit == 0 || int(upstream.Port) == p.StartTLS) {
		return v1alpha1.UpstreamTLSStartTLS
	}
	return v1alpha1.UpstreamTLSImplicit
}

// UpstreamHost is the host of an upstream, which its provider may give.
func UpstreamHost(upstream *v1alpha1.Upstream) string {
	if p := provider.Lookup(upstream.Provider); p != nil {
		return cmp.Or(upstream.Host, p.Host)
	}
	return upstream.Host
}

// UpstreamPort is the port of an upstream, which its provider may give; zero when nothing does.
func UpstreamPort(upstream *v1alpha1.Upstream) int32 {
	p := provider.Lookup(upstream.Provider)
	switch {
	case upstream.Port != 0 || p == nil:
		return upstream.Port
	case UpstreamTLS(upstream) == v1alpha1.UpstreamTLSImplicit:
		return int32(p.Implicit)
	case UpstreamTLS(upstream) == v1alpha1.UpstreamTLSStartTLS:
		return int32(p.StartTLS)
	}
	return 0
}

// TokenPort is the port of a token endpoint.
func TokenPort(oauth2 *v1alpha1.UpstreamOAuth2) int32 {
	const https = 443
	if u, err := url.Parse(oauth2.TokenURL); err == nil {
		if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil && port > 0 {
			return int32(port)
		}
	}
	return https
}

// LoginKeys are the keys that a login needs of the Secret that secretRef names; none without a
// secretRef.
func LoginKeys(auth *v1alpha1.UpstreamAuth) []string {
	switch {
	case auth.SecretRef == nil:
		return nil
	case auth.OAuth2 != nil && auth.OAuth2.Grant == v1alpha1.GrantClientCredentials:
		return []string{UsernameKey, ClientIDKey, ClientSecretKey}
	case auth.OAuth2 != nil:
		return []string{UsernameKey, ClientIDKey, ClientSecretKey, RefreshTokenKey}
	case auth.Mechanism == "EXTERNAL":
		return []string{UsernameKey}
	}
	return []string{UsernameKey, PasswordKey}
}
