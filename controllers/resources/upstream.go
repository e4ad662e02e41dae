package resources

import (
	"cmp"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/relay/provider"
)

// UpstreamTLS is how the connection to an upstream is encrypted: by TLS from the first byte,
// unless spec says otherwise or its provider has no port for that.
func UpstreamTLS(upstream *v1alpha1.Upstream) v1alpha1.UpstreamTLSMode {
	if upstream.TLS != "" {
		return upstream.TLS
	}
	if p := provider.Lookup(upstream.Provider); p != nil && p.Implicit == 0 && upstream.Port == 0 {
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
