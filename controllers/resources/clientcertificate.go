package resources

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmv1ac "github.com/cert-manager/cert-manager/pkg/client/applyconfigurations/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// clientDuration is how long certificates of users are valid. They are renewed after two thirds.
const clientDuration = 90 * 24 * time.Hour

// ClientURI is who a user is in its client certificate, bound to one key: the relay takes it
// from no other, and each new key is another name.
func ClientURI(user *v1alpha1.RelayUser, key string) *url.URL {
	return &url.URL{Scheme: "mailrelay", Host: user.Namespace, Path: "/" + user.Name + "/" + key}
}

// ClientName is the ClientURI as the relay's list of users has it.
func ClientName(user *v1alpha1.RelayUser, key string) string {
	return "URI:" + ClientURI(user, key).String()
}

// KeyName is the config.KeyName of a public key.
func KeyName(key crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("name a public key: %w", err)
	}
	return config.KeyName(der), nil
}

// SigningRequest asks a CA to certify that a key is the user's, as PEM.
func SigningRequest(user *v1alpha1.RelayUser, key crypto.Signer) ([]byte, error) {
	name, err := KeyName(key.Public())
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{URIs: []*url.URL{ClientURI(user, name)}}, key)
	if err != nil {
		return nil, fmt.Errorf("request a client certificate: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// RequestName is the name of the CertificateRequest for a key, given by its KeyName.
func RequestName(relay *v1alpha1.MailRelay, key string) string {
	const digits = 16
	return relay.Name + "-client-" + key[len(key)-digits:]
}

// ClientCertificateRequest has the relay's internal CA sign a request of a user. An Issuer cannot
// be used from another namespace, so it is in the relay's, and belongs to the relay.
func ClientCertificateRequest(relay *v1alpha1.MailRelay, user *v1alpha1.RelayUser, name, signer string, request []byte) *cmv1ac.CertificateRequestApplyConfiguration {
	labels := Labels(relay)
	labels[UserLabel], labels[UserNamespaceLabel] = user.Name, user.Namespace
	return cmv1ac.CertificateRequest(name, relay.Namespace).
		WithLabels(labels).
		WithSpec(cmv1ac.CertificateRequestSpec().
			WithIssuerRef(issuer(signer, issuerKind, issuerGroup)).
			WithDuration(metav1.Duration{Duration: clientDuration}).
			WithUsages(cmv1.UsageClientAuth, cmv1.UsageDigitalSignature).
			WithRequest(request...))
}
