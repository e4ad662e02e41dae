package config

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/mailrelay-dev/mailrelay-operator/relay/provider"
)

func (c *Config) validateUpstreams(k *checker) {
	if len(c.Upstreams) == 0 {
		k.failf("upstreams", "missing: write at least one upstream to deliver to")
	}
	seen := map[string]bool{}
	for i := range c.Upstreams {
		u, field := &c.Upstreams[i], fmt.Sprintf("upstreams[%d]", i)
		u.validate(k, field+".")
		if u.Name != "" && seen[u.Name] {
			k.failf(field+".name", "%q is the name of two upstreams: give each its own", u.Name)
		}
		seen[u.Name] = true
	}
}

func (u *Upstream) validate(k *checker, prefix string) {
	if !isLabel(u.Name) {
		k.failf(prefix+"name", "%q is not a name: write lower-case letters, digits and hyphens, at most 63", u.Name)
	}
	u.validateAddress(k, prefix)
	k.oneOf(prefix+"tls", string(u.TLS), string(TLSImplicit), string(TLSStartTLS), string(TLSNone))
	if u.TLS == TLSNone && u.PlaintextAcknowledgement != PlaintextAcknowledgement {
		k.failf(prefix+"plaintextAcknowledgement", "tls is None: write %q here, or use Implicit or StartTLS", PlaintextAcknowledgement)
	}
	u.Auth.validate(k, prefix+"auth.", u.TLS)
	for i, name := range u.UnsignedHeaders {
		field := fmt.Sprintf("%sunsignedHeaders[%d]", prefix, i)
		switch {
		case !isHeaderName(name):
			k.failf(field, "%q is not the name of a header field: write one such as Message-ID, without a colon", name)
		case strings.EqualFold(name, "From"):
			k.failf(field, "From must be signed (RFC 6376 §5.4): take it out of the list")
		}
	}
	positive(k, prefix, map[string]int{"weight": u.Weight})
	if u.Order < 0 {
		k.failf(prefix+"order", "must be 0 or more: the lowest is used first")
	}
	positive(k, prefix+"limits.", map[string]int{
		"connections":           u.Limits.Connections,
		"messagesPerConnection": u.Limits.MessagesPerConnection,
		"recipientsPerMessage":  u.Limits.RecipientsPerMessage,
	})
	for i, r := range u.Limits.Rates {
		r.validate(k, fmt.Sprintf("%slimits.rates[%d]", prefix, i))
	}
}

// validateAddress wants a host and a port, which a provider can give.
func (u *Upstream) validateAddress(k *checker, prefix string) {
	p := provider.Lookup(u.Provider)
	if p == nil && u.Provider != "" {
		k.failf(prefix+"provider", "%q is not known: write %s, or leave it out and write host and port", u.Provider, orList(provider.Names()))
		return
	}
	_, err := netip.ParseAddr(u.Host)
	switch {
	case err == nil || isHostname(u.Host):
	case u.Host == "" && p != nil:
		k.failf(prefix+"host", "missing: %s has a host for each customer: write yours, such as %s", p.Title, p.HostExample)
	default:
		k.failf(prefix+"host", "%q is not a host: write a host name such as smtp.example.com, or an IP address", u.Host)
	}
	switch {
	case u.Port >= 1 && u.Port <= 65535:
	case u.Port == 0 && p != nil:
		k.failf(prefix+"tls", "%s does not take mail with tls %s: write another mode, or a port", p.Title, u.TLS)
	default:
		k.failf(prefix+"port", "%d is not a port: write 1 to 65535", u.Port)
	}
}
