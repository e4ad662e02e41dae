package operatorca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

const (
	caLifetime     = 10 * 365 * 24 * time.Hour
	clientLifetime = 24 * time.Hour
	// clockSkew is how far the clocks of operator and relays may be apart.
	clockSkew = 10 * time.Minute
)

// newCA makes a certificate authority and returns it as PEM.
func newCA(now time.Time) (certPEM, keyPEM []byte, err error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "mailrelay-operator CA"},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(caLifetime),
		KeyUsage:              x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
	}
	pair, err := sign(template, nil)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return nil, nil, fmt.Errorf("encode the CA key: %w", err)
	}
	return encode("CERTIFICATE", pair.Certificate[0]), encode("PRIVATE KEY", key), nil
}

// newClient makes a short-lived client certificate; its key never leaves memory.
func newClient(ca *tls.Certificate, now time.Time) (*tls.Certificate, error) {
	return sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "mailrelay-operator"},
		NotBefore:   now.Add(-clockSkew),
		NotAfter:    now.Add(clientLifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca)
}

// sign makes a key and a certificate for it, signed by ca or, without one, by itself.
func sign(template *x509.Certificate, ca *tls.Certificate) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("choose a serial number: %w", err)
	}
	template.SerialNumber = serial
	parent, signer := template, any(key)
	if ca != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the certificate just signed: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
