package relay

import (
	"crypto/tls"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// chooseCertificate picks what a client is shown: the external certificate when it asks by
// SNI for a host of it, otherwise the internal one.
func chooseCertificate(s *config.Snapshot, hello *tls.ClientHelloInfo) *tls.Certificate {
	if s.External != nil && hello.ServerName != "" && s.External.Leaf.VerifyHostname(hello.ServerName) == nil {
		return s.External
	}
	return s.Internal
}

// tlsVersion turns tls.minVersion into its number.
func tlsVersion(name string) uint16 {
	if name == "1.3" {
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}
