package controllers

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// ed25519PEM is a new key as people keep it.
func ed25519PEM(t *testing.T) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func TestDKIMKeyThatComesLateAndIsExchanged(t *testing.T) {
	c, namespace := onCluster(t)
	relay := newRelay(namespace)
	relay.Spec.DKIM = []v1alpha1.DKIMKey{{Domain: "example.com", Selector: "s1", SecretRef: &v1alpha1.LocalSecretReference{Name: "dkim"}}}
	c.mustCreate(t, providerSecret(namespace), relay)
	unusable := func(want string) {
		t.Helper()
		eventually(t, want, func() error {
			message := c.awaitCondition(t, relay, v1alpha1.ConditionUpstreamReady, metav1.ConditionFalse, "DKIMKeyUnusable")
			if !strings.Contains(message, want) {
				return fmt.Errorf("message = %q", message)
			}
			return nil
		})
	}
	unusable("s1._domainkey.example.com: Secret dkim in namespace " + namespace + " does not exist: create it")
	secret := secretNamed(namespace, "dkim")
	secret.Data = map[string][]byte{"tls.key": ed25519PEM(t)}
	c.mustCreate(t, secret)
	unusable("has no dkim.key: add it")
	c.change(t, secret, func() { secret.Data["dkim.key"] = []byte("not a key") })
	unusable("dkim.key holds no PEM block")
	for range 2 {
		key := ed25519PEM(t)
		c.change(t, secret, func() { secret.Data["dkim.key"] = key })
		eventually(t, "the key is copied", func() error {
			upstreams := secretNamed(namespace, "relay-upstreams")
			c.mustGet(t, upstreams)
			if got := upstreams.Data["s1._domainkey.example.com"]; string(got) != string(key) {
				return fmt.Errorf("another key is there, of %d bytes", len(got))
			}
			return nil
		})
	}
	c.awaitCondition(t, relay, v1alpha1.ConditionUpstreamReady, metav1.ConditionTrue, "Configured")
	written := secretNamed(namespace, "relay-config-v1")
	c.mustGet(t, written)
	if parsed, err := config.Parse(written.Data["relay.yaml"]); err != nil || len(parsed.DKIM) != 1 {
		t.Errorf("relay.yaml: %v, %+v", err, parsed)
	}
}
