package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// parseKeyPair makes a certificate of a PEM chain and a PEM key. Its Leaf is set.
func parseKeyPair(certPEM, keyPEM []byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("not a certificate and its key: %w", err)
	}
	return &pair, nil
}

// parsePool makes a pool of the certificates in a PEM bundle.
func parsePool(bundle []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(bundle) {
		return nil, errors.New("holds no PEM certificate: write the CA's certificate")
	}
	return pool, nil
}

// parseCredential returns a user name, password or token as written in a file, less one final
// newline: an editor adds it, and a Secret made with it cannot log in.
func parseCredential(content []byte) (string, error) {
	content = bytes.TrimSuffix(content, []byte("\n"))
	content = bytes.TrimSuffix(content, []byte("\r"))
	switch {
	case len(content) == 0:
		return "", errors.New("is empty: write the user name, password or token")
	case bytes.ContainsAny(content, "\x00\r\n"):
		return "", errors.New("has more than one line: write the user name, password or token alone")
	}
	return string(content), nil
}
