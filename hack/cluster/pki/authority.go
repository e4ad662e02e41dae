// Package pki makes the keys, certificates and kubeconfigs of a cluster that
// lives for hours or days.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// validity is longer than any cluster of this kind is kept.
const validity = 365 * 24 * time.Hour

// Authority signs the cluster's certificates.
type Authority struct {
	dir         string
	certificate *x509.Certificate
	key         crypto.Signer
}

// NewAuthority makes a certificate authority and writes it to ca.crt and ca.key
// in dir, where it also puts what it issues.
func NewAuthority(dir string, now time.Time) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of keys: %w", err)
	}
	template := newTemplate(pkix.Name{CommonName: "mailrelay-cluster"}, now)
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	a := &Authority{dir: dir}
	var err error
	a.certificate, a.key, err = a.create("ca", template)
	return a, err
}

// Subject is whom a certificate is for.
type Subject struct {
	// User and Groups are what the API server takes from a client certificate.
	User   string
	Groups []string
	// Names and IPs are what a server is reached by; without any, the
	// certificate is a client's only.
	Names []string
	IPs   []string
}

// Issue writes a certificate and its key to name.crt and name.key.
func (a *Authority) Issue(name string, subject Subject, now time.Time) error {
	template := newTemplate(pkix.Name{CommonName: subject.User, Organization: subject.Groups}, now)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	template.DNSNames = subject.Names
	for _, ip := range subject.IPs {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(ip))
	}
	if len(subject.Names)+len(subject.IPs) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	_, _, err := a.create(name, template)
	return err
}

func newTemplate(subject pkix.Name, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject:   subject,
		NotBefore: now.Add(-time.Minute),
		NotAfter:  now.Add(validity),
	}
}

// create signs template for a new key; an authority without a key yet signs for
// itself.
func (a *Authority) create(name string, template *x509.Certificate) (*x509.Certificate, crypto.Signer, error) {
	key, err := WriteKey(filepath.Join(a.dir, name+".key"))
	if err != nil {
		return nil, nil, err
	}
	const serialBits = 127
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, nil, fmt.Errorf("choose a serial number: %w", err)
	}
	parent, signer := a.certificate, a.key
	if signer == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, nil, fmt.Errorf("sign the certificate %s: %w", name, err)
	}
	err = writePEM(filepath.Join(a.dir, name+".crt"), "CERTIFICATE", der, 0o644)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("read back the certificate %s: %w", name, err)
	}
	return certificate, key, nil
}

// WriteKey makes a private key and writes it to path, in the older of the two
// encodings: the API server reads keys of service accounts in no other.
func WriteKey(path string) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	return key, writePEM(path, "EC PRIVATE KEY", der, 0o600)
}

func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	data := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path, data, mode); err != nil {
		return fmt.Errorf("write a %s: %w", kind, err)
	}
	return nil
}
