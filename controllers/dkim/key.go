package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// Key is one key of a domain, and what became of it. Times are whole seconds.
type Key struct {
	// Selector is made of the public key: a record can belong to one key only.
	Selector string `json:"selector"`
	// Made is when the key was made, or was first seen.
	Made time.Time `json:"made"`
	// Found is what the DNS last showed, since Since, and Detail how that differs from the key.
	Found  Finding   `json:"found,omitempty"`
	Detail string    `json:"detail,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	// Signs is when the DNS first showed the record.
	Signs time.Time `json:"signs,omitzero"`
	// Retired is when another key took its place.
	Retired time.Time `json:"retired,omitzero"`
	// Removed is when the private key was thrown away; only the record is left.
	Removed time.Time `json:"removed,omitzero"`

	// PEM is the private key, nil once it is removed.
	PEM []byte `json:"-"`
	// Public is the public key, nil with PEM.
	Public crypto.PublicKey `json:"-"`
}

// rsaBits is what signers should use (RFC 8301 §3.2).
const rsaBits = 2048

// Generate makes a key.
func Generate(prefix, algorithm string, now time.Time) (Key, error) {
	private, err := generate(algorithm)
	if err != nil {
		return Key{}, fmt.Errorf("make a DKIM key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Key{}, fmt.Errorf("encode a DKIM key: %w", err)
	}
	public := private.Public()
	return Key{
		Selector: selectorOf(prefix, public),
		Made:     now,
		PEM:      pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		Public:   public,
	}, nil
}

func generate(algorithm string) (crypto.Signer, error) {
	if algorithm == v1alpha1.DKIMAlgorithmEd25519 {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return rsa.GenerateKey(rand.Reader, rsaBits)
}

// selectorOf names a key by its content, so that no key is ever published under the selector of
// another, also when the operator has forgotten all others.
func selectorOf(prefix string, public crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return prefix + "-" + hex.EncodeToString(sum[:4])
}

// Algorithm is that of the key; empty once it is removed.
func (k *Key) Algorithm() string {
	switch k.Public.(type) {
	case *rsa.PublicKey:
		return v1alpha1.DKIMAlgorithmRSA2048
	case ed25519.PublicKey:
		return v1alpha1.DKIMAlgorithmEd25519
	default:
		return ""
	}
}

// hold takes up the private key when it is the one that the selector was made of.
func (k *Key) hold(prefix string, content []byte) bool {
	private, err := config.ParseDKIMKey(content)
	if err != nil || selectorOf(prefix, private.Public()) != k.Selector {
		return false
	}
	k.PEM, k.Public = content, private.Public()
	return true
}
