//go:build e2e

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

const externalName = "mail.example.com"

func TestLastGoodExternalCertificateOutlivesABrokenSecretAndARestart(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "external")
	good, other := newPair(t), newPair(t)
	s.secret(t, "theirs", good)
	relay := newRelay(p)
	relay.Spec.TLS = &v1alpha1.RelayTLS{Names: []string{externalName}, SecretRef: &v1alpha1.LocalSecretReference{Name: "theirs"}}
	s.startRelay(t, p, relay)
	a := s.startApp(t, defaultUser)
	first := s.waitShown(t, "")
	a.python(t, connectTo, externalName, string(good["ca.crt"]))

	s.setSecret(t, "theirs", "tls.key", other["tls.key"])
	broken := s.waitCondition(t, relayName, relay, v1alpha1.ConditionCertificateReady, metav1.ConditionFalse, "ExternalCertificateInvalid")
	if !strings.Contains(broken.Message, "Secret theirs of spec.tls.secretRef: tls.crt and tls.key cannot be used together") {
		t.Errorf("the condition says %q", broken.Message)
	}
	before := s.pod(t, relayPod)
	if err := s.Delete(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 2*time.Minute, "the pod to be there again", func(ctx context.Context) (bool, string) {
		after := before.DeepCopy()
		err := s.Get(ctx, client.ObjectKeyFromObject(before), after)
		statuses := after.Status.ContainerStatuses
		return err == nil && after.UID != before.UID && len(statuses) == 1 && statuses[0].Ready, fmt.Sprint(after.Status.Phase, err)
	})
	// The Service knows of the pod a little later than its status.
	waitFor(t, 30*time.Second, "the last good certificate to be served", func(ctx context.Context) (bool, string) {
		out, err := a.run(ctx, "", "python3", "-c", connectTo, externalName, string(good["ca.crt"]))
		return err == nil, out
	})

	s.setSecret(t, "theirs", "tls.crt", other["tls.crt"])
	s.setSecret(t, "theirs", "ca.crt", other["ca.crt"])
	s.waitReady(t)
	s.waitShown(t, first)
	a.python(t, connectTo, externalName, string(other["ca.crt"]))
}

// waitShown waits until clients that ask for the external name are shown, on both ports, a
// certificate that fits its CA and is not the one with this fingerprint.
func (s *site) waitShown(t *testing.T, not string) (fingerprint string) {
	t.Helper()
	waitFor(t, time.Minute, "the external certificate in status", func(ctx context.Context) (bool, string) {
		var relay v1alpha1.MailRelay
		if err := s.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: relayName}, &relay); err != nil {
			return false, err.Error()
		}
		for _, c := range relay.Status.Certificates {
			if c.Host == externalName && c.Fingerprint != not && len(c.Ports) == 2 && ptr.Deref(c.Verified, false) {
				fingerprint = c.Fingerprint
			}
		}
		return fingerprint != "", fmt.Sprintf("%+v", relay.Status.Certificates)
	})
	return fingerprint
}

// newPair is a certificate for externalName that signed itself.
func newPair(t *testing.T) map[string][]byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{externalName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return map[string][]byte{
		"tls.crt": certificate, "ca.crt": certificate,
		"tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
}
