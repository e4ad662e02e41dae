package config

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// DKIMKey signs messages from a domain (RFC 6376). All keys of a domain sign, so that one RSA
// and one Ed25519 key serve all receivers.
type DKIMKey struct {
	// Domain of From, or one above it.
	Domain string `yaml:"domain"`
	// Selector says where in the DNS the public key is: SELECTOR._domainkey.DOMAIN.
	Selector string `yaml:"selector"`
	// KeyFile is a PEM file with an RSA key (PKCS#1 or PKCS#8) or an Ed25519 key (PKCS#8).
	KeyFile string `yaml:"keyFile"`
}

// ResolvedDKIMKey is a DKIMKey with its key.
type ResolvedDKIMKey struct {
	DKIMKey
	// Signer is nil when the file never held a key. Messages of the domain then wait: unsigned
	// they would end as spam.
	Signer crypto.Signer
}

const (
	// leastRSABits is what verifiers accept (RFC 8301 §3.2), goodRSABits what signers should use.
	leastRSABits = 1024
	goodRSABits  = 2048
)

// ParseDKIMKey makes a key of a PEM file. The error says what is wrong with the file, without
// its content.
func ParseDKIMKey(content []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, errors.New("holds no PEM block: write a private key, beginning with \"-----BEGIN PRIVATE KEY-----\"")
	}
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return nil, errors.New("holds something else than a private key: write one in PKCS#1 or PKCS#8, without a passphrase")
	}
	if err != nil {
		return nil, errors.New("holds a private key that cannot be read: write one in PKCS#1 or PKCS#8")
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if bits := key.N.BitLen(); bits < leastRSABits {
			return nil, fmt.Errorf("holds an RSA key of %d bits, which no receiver accepts: make one of %d", bits, goodRSABits)
		}
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, errors.New("holds a private key that is neither RSA nor Ed25519")
}

func (p *pass) dkimKey(k DKIMKey) ResolvedDKIMKey {
	name := "DKIM " + k.Selector + "._domainkey." + k.Domain
	signer, _ := keep(p, name, []string{k.KeyFile}, func(contents [][]byte) (crypto.Signer, error) {
		signer, err := ParseDKIMKey(contents[0])
		if key, ok := signer.(*rsa.PrivateKey); ok && key.N.BitLen() < goodRSABits {
			p.loader.options.Logger.Warn("this DKIM key is short, some receivers do not trust it: make one of 2048 bits",
				"domain", k.Domain, "selector", k.Selector, "bits", key.N.BitLen())
		}
		return signer, err
	})
	return ResolvedDKIMKey{DKIMKey: k, Signer: signer}
}

func (c *Config) validateDKIM(k *checker) {
	seen := map[string]bool{}
	for i, key := range c.DKIM {
		field := fmt.Sprintf("dkim[%d].", i)
		if !isDomain(key.Domain) {
			k.failf(field+"domain", "%q is not a domain: write the one in From, such as example.com", key.Domain)
		}
		if !isHostname(key.Selector) {
			k.failf(field+"selector", "%q is not a selector: write the name in front of ._domainkey in the DNS", key.Selector)
		}
		if key.KeyFile == "" {
			k.failf(field+"keyFile", "missing: write the path of a PEM file")
		}
		name := key.Selector + "." + key.Domain
		if seen[name] {
			k.failf(field+"selector", "%q is there twice for %s: give each key its own", key.Selector, key.Domain)
		}
		seen[name] = true
	}
}
