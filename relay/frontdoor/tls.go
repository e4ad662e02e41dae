package frontdoor

import "crypto/tls"

// aeadSuites are the TLS 1.2 suites with forward secrecy and authenticated encryption
// (RFC 9325 §4.2). TLS 1.3 has no others.
var aeadSuites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// tlsConfig sets no NextProtos: RFC 8314 defines no ALPN name for submission, and clients
// that offer some are served.
func tlsConfig(o Options) *tls.Config {
	return &tls.Config{
		MinVersion:     o.MinVersion,
		CipherSuites:   aeadSuites,
		GetCertificate: o.GetCertificate,
	}
}
