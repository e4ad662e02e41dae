package controllers

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// clockSkew is how far ahead the clock of who signed a certificate may be.
const clockSkew = 5 * time.Minute

// clientPair is a client certificate that a user can log in with.
type clientPair struct {
	resources.ClientPair
	leaf *x509.Certificate
	// name is the KeyName.
	name string
}

// newClientPair checks what a relay with these CAs would: that one of them signed the
// certificate, for this user and this key, and that it has not ended.
func newClientPair(user *v1alpha1.RelayUser, certificate, key []byte, ca string, now time.Time) (*clientPair, error) {
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	p := &clientPair{ClientPair: resources.ClientPair{Certificate: certificate, Key: key}, leaf: pair.Leaf}
	if p.name, err = resources.KeyName(pair.Leaf.PublicKey); err != nil {
		return nil, err
	}
	want := resources.ClientURI(user, p.name).String()
	if !slices.ContainsFunc(pair.Leaf.URIs, func(uri *url.URL) bool { return uri.String() == want }) {
		return nil, fmt.Errorf("the certificate does not have the name %s", want)
	}
	return p, p.verify(pair.Certificate[1:], ca, now)
}

func (p *clientPair) verify(chain [][]byte, ca string, now time.Time) error {
	options := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if !options.Roots.AppendCertsFromPEM([]byte(ca)) {
		return errors.New("the relay has no CA")
	}
	for _, der := range chain {
		if parent, err := x509.ParseCertificate(der); err == nil {
			options.Intermediates.AddCert(parent)
		}
	}
	if ahead := p.leaf.NotBefore.Sub(now); ahead > 0 && ahead < clockSkew {
		options.CurrentTime = p.leaf.NotBefore
	}
	_, err := p.leaf.Verify(options)
	return err
}

// keyName is the KeyName of the first certificate in a PEM, empty when there is none.
func keyName(certificates []byte) string {
	block, _ := pem.Decode(bytes.TrimSpace(certificates))
	if block == nil {
		return ""
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return ""
	}
	name, err := resources.KeyName(leaf.PublicKey)
	if err != nil {
		return ""
	}
	return name
}

func privateKeyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("write a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
