package resources

import (
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/share"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/provider"
)

func upstreamConfigs(relay *v1alpha1.MailRelay) []config.Upstream {
	pods := max(int(SharingPods(relay)), 1)
	out := make([]config.Upstream, 0, len(relay.Spec.Upstreams))
	for i := range relay.Spec.Upstreams {
		out = append(out, upstreamConfig(&relay.Spec.Upstreams[i], pods))
	}
	return out
}

// upstreamConfig leaves to the relay what it knows of the provider as well, but for the limits
// that its pods share.
func upstreamConfig(upstream *v1alpha1.Upstream, pods int) config.Upstream {
	out := config.Upstream{
		Name:                     upstream.Name,
		Provider:                 upstream.Provider,
		Host:                     upstream.Host,
		Port:                     int(upstream.Port),
		TLS:                      config.TLSMode(UpstreamTLS(upstream)),
		Order:                    int(upstream.Order),
		Weight:                   int(ptr.Deref(upstream.Weight, 0)),
		PlaintextAcknowledgement: upstream.PlaintextAcknowledgement,
		Limits: config.UpstreamLimits{
			Connections:           connections(upstream, pods),
			MessagesPerConnection: int(ptr.Deref(upstream.Limits.MessagesPerConnection, 0)),
			RecipientsPerMessage:  int(ptr.Deref(upstream.Limits.RecipientsPerMessage, 0)),
			Rates:                 rates(upstream, pods),
		},
		Chunking:        upstream.Chunking,
		UnsignedHeaders: upstream.UnsignedHeaders,
	}
	if upstream.Auth != nil {
		out.Auth = authConfig(upstream)
	}
	if upstream.CASecretRef != nil {
		out.CAFile = upstreamFile(upstream, CAKey)
	}
	return out
}

// connections is a pod's share, zero for the relay's own default, which is one of each pod.
func connections(upstream *v1alpha1.Upstream, pods int) int {
	n := int(ptr.Deref(upstream.Limits.Connections, 0))
	if p := provider.Lookup(upstream.Provider); n == 0 && p != nil {
		n = p.Limits.Connections
	}
	if n == 0 {
		return 0
	}
	return share.Count(n, pods)
}

func rates(upstream *v1alpha1.Upstream, pods int) []config.Rate {
	var out []config.Rate
	for _, r := range upstream.Limits.Rates {
		out = append(out, share.Rates(r.Messages, r.Recipients, r.Period, pods)...)
	}
	if p := provider.Lookup(upstream.Provider); out == nil && p != nil {
		for _, r := range config.RatesOf(p) {
			out = append(out, share.Rate(r, pods))
		}
	}
	return out
}

func authConfig(upstream *v1alpha1.Upstream) config.Auth {
	auth := upstream.Auth
	out := config.Auth{Mechanism: auth.Mechanism}
	files := map[string]*string{
		UsernameKey: &out.UsernameFile, PasswordKey: &out.PasswordFile, ClientIDKey: &out.OAuth2.ClientIDFile,
		ClientSecretKey: &out.OAuth2.ClientSecretFile, RefreshTokenKey: &out.OAuth2.RefreshTokenFile,
	}
	for _, key := range LoginKeys(auth) {
		*files[key] = upstreamFile(upstream, key)
	}
	if auth.OAuth2 != nil {
		out.OAuth2.TokenURL, out.OAuth2.Scopes = auth.OAuth2.TokenURL, auth.OAuth2.Scopes
		if auth.OAuth2.CASecretRef != nil {
			out.OAuth2.CAFile = upstreamFile(upstream, TokenCAKey)
		}
	}
	if auth.CertificateSecretRef != nil {
		out.Certificate = config.KeyPair{
			CertFile: upstreamFile(upstream, corev1.TLSCertKey),
			KeyFile:  upstreamFile(upstream, corev1.TLSPrivateKeyKey),
		}
	}
	return out
}

func upstreamFile(upstream *v1alpha1.Upstream, key string) string {
	return path.Join(UpstreamsDir, UpstreamKey(upstream.Name, key))
}

func routeConfigs(routes []v1alpha1.Route) []config.Route {
	var out []config.Route
	for _, r := range routes {
		out = append(out, config.Route(r))
	}
	return out
}
