package frontdoor

import (
	"crypto/tls"
	"slices"
	"strings"
)

// alpnSMTP is what mail clients that use ALPN at all (Exim, for one) offer.
const alpnSMTP = "smtp"

// tlsConfig is what both services serve: RFC 9325 with AEAD suites only.
func tlsConfig(o Options) *tls.Config {
	open := &tls.Config{
		MinVersion:     o.MinVersion,
		GetCertificate: o.GetCertificate,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
			tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
	}
	strict := open.Clone()
	strict.NextProtos = []string{alpnSMTP}
	served := open.Clone()
	clients := &asker{cas: o.ClientCAs, served: served}
	served.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		config := open
		if slices.ContainsFunc(hello.SupportedProtos, decidesProtocol) {
			config = strict
		}
		return clients.ask(config), nil
	}
	return served
}

// decidesProtocol tells the ALPN names that must be answered. A browser that was led here
// offers HTTP and is turned away by the handshake, before its request could be read as
// commands (the ALPACA attack). Names nobody knows are ignored: refusing them would only
// lock out a mail client.
func decidesProtocol(name string) bool {
	return name == alpnSMTP || name == "h2" || name == "h3" || strings.HasPrefix(name, "http/")
}
