package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"time"
)

// Encode writes certificates as PEM.
func Encode(certificates []*x509.Certificate) []byte {
	var out bytes.Buffer
	for _, c := range certificates {
		// A bytes.Buffer takes everything.
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return out.Bytes()
}

// Verify reports whether a client that trusts the roots, or without any the public ones, accepts
// a chain in PEM, leaf first, for a host.
func Verify(chain []byte, roots []*x509.Certificate, host string, now time.Time) bool {
	leaf := Parse(chain)
	if leaf == nil {
		return false
	}
	options := x509.VerifyOptions{DNSName: host, CurrentTime: now, Intermediates: x509.NewCertPool()}
	options.Intermediates.AppendCertsFromPEM(chain)
	if len(roots) > 0 {
		options.Roots = x509.NewCertPool()
		for _, root := range roots {
			options.Roots.AddCert(root)
		}
	}
	_, err := leaf.Verify(options)
	return err == nil
}

// Parse reads the first certificate of PEM; nil when there is none.
func Parse(content []byte) *x509.Certificate {
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			return nil
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil
		}
		return certificate
	}
}
