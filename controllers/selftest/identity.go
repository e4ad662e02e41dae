package selftest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

const (
	// identityLifetime is how long the sink's certificate holds: longer than any test.
	identityLifetime = time.Hour
	// clockSkew is how far the clocks of nodes may be apart.
	clockSkew = 10 * time.Minute
)

// identity is what the sink is known by: made for one run, and in memory but for what the
// relay needs of it.
type identity struct {
	host               string
	username, password string
	certificate        tls.Certificate
	certificatePEM     []byte
}

// newIdentity makes a login and a self-signed certificate for the host name.
func newIdentity(host string, now time.Time) (*identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate the sink's key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{host},
		NotBefore:    now.Add(-clockSkew),
		NotAfter:     now.Add(identityLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign the sink's certificate: %w", err)
	}
	return &identity{
		host: host, username: "selftest", password: rand.Text(),
		certificate:    tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		certificatePEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
	}, nil
}

// secret is what the relay needs to deliver to the sink, in the keys of an upstream's Secret.
func (i *identity) secret() map[string][]byte {
	return map[string][]byte{
		resources.UsernameKey: []byte(i.username),
		resources.PasswordKey: []byte(i.password),
		resources.CAKey:       i.certificatePEM,
	}
}
