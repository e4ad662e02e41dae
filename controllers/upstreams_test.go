package controllers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// keyPairPEM is a new certificate and its key.
func keyPairPEM(t *testing.T) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"relay.example.com"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// copied waits until the pods of a relay are given these values, and no others.
func (c *cluster) copied(t *testing.T, namespace string, want map[string]string) {
	t.Helper()
	upstreams := secretNamed(namespace, "relay-upstreams")
	eventually(t, "what the upstreams need is copied", func() error {
		c.mustGet(t, upstreams)
		got := map[string]string{}
		for key, value := range upstreams.Data {
			got[key] = string(value)
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("keys are %q, want %q, or values differ", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
		return nil
	})
}

func TestUpstreamReferencesSeveralSecrets(t *testing.T) {
	c, namespace := onCluster(t)
	certificate, key := keyPairPEM(t)
	ref := func(name string) *v1alpha1.LocalSecretReference { return &v1alpha1.LocalSecretReference{Name: name} }
	secret := func(name string, data map[string]string) *corev1.Secret {
		s := secretNamed(namespace, name)
		s.StringData = data
		return s
	}
	login := secret("login", map[string]string{"username": "app@example.com", "client-id": "id", "client-secret": "s1", "password": "not asked for"})
	pair := secret("pair", map[string]string{"tls.crt": string(certificate), "tls.key": string(key)})
	tokenCA := secret("token-ca", map[string]string{"ca.crt": string(certificate)})
	relay := newRelay(namespace)
	relay.Spec.Upstreams = append(relay.Spec.Upstreams, v1alpha1.Upstream{
		Name: "google", Provider: "gmail", CASecretRef: ref("token-ca"),
		Auth: &v1alpha1.UpstreamAuth{SecretRef: ref("login"), CertificateSecretRef: ref("pair"), OAuth2: &v1alpha1.UpstreamOAuth2{
			TokenURL: "https://oauth2.example/token", CASecretRef: ref("token-ca")}},
	})
	c.mustCreate(t, providerSecret(namespace), login, pair, tokenCA, relay)
	message := c.awaitCondition(t, relay, v1alpha1.ConditionUpstreamReady, metav1.ConditionFalse, "UpstreamSecretIncomplete")
	if !strings.Contains(message, "Secret login of upstream google has no refresh-token: add it") {
		t.Errorf("message = %q", message)
	}
	c.change(t, login, func() { login.Data["refresh-token"] = []byte("r1") })
	c.awaitCondition(t, relay, v1alpha1.ConditionUpstreamReady, metav1.ConditionTrue, "Configured")
	want := map[string]string{
		"provider.username": "us", "provider.password": "a password",
		"google.username": "app@example.com", "google.client-id": "id", "google.client-secret": "s1", "google.refresh-token": "r1",
		"google.tls.crt": string(certificate), "google.tls.key": string(key),
		"google.ca.crt": string(certificate), "google.token-ca.crt": string(certificate),
	}
	c.copied(t, namespace, want)

	// Each reference is followed when its Secret changes.
	certificate, key = keyPairPEM(t)
	c.change(t, pair, func() { pair.Data = map[string][]byte{"tls.crt": certificate, "tls.key": key} })
	want["google.tls.crt"], want["google.tls.key"] = string(certificate), string(key)
	c.copied(t, namespace, want)
	c.change(t, login, func() { login.Data["client-secret"] = []byte("s2") })
	want["google.client-secret"] = "s2"
	c.copied(t, namespace, want)
	c.change(t, tokenCA, func() { tokenCA.Data["ca.crt"] = certificate })
	want["google.ca.crt"], want["google.token-ca.crt"] = string(certificate), string(certificate)
	c.copied(t, namespace, want)

	// A pair that does not fit is not copied, and said.
	c.change(t, pair, func() { pair.Data["tls.key"] = []byte("no key") })
	message = c.awaitCondition(t, relay, v1alpha1.ConditionUpstreamReady, metav1.ConditionFalse, "UpstreamSecretInvalid")
	if !strings.Contains(message, "Secret pair of upstream google: tls.crt and tls.key are no certificate and its key") {
		t.Errorf("message = %q", message)
	}
	delete(want, "google.tls.crt")
	delete(want, "google.tls.key")
	c.copied(t, namespace, want)

	// What no upstream needs any more goes.
	c.change(t, relay, func() { relay.Spec.Upstreams = relay.Spec.Upstreams[:1] })
	c.copied(t, namespace, map[string]string{"provider.username": "us", "provider.password": "a password"})
}

// The API server bounds what its rules may cost, in the CRD and for each object.
func TestAPITakesTheLargestListsOfUpstreamsAndRoutes(t *testing.T) {
	c, namespace := onCluster(t)
	relay := newRelay(namespace)
	relay.Spec.Upstreams = nil
	var names []string
	for i := range 16 {
		name := fmt.Sprintf("%s-%02d", strings.Repeat("u", 37), i)
		names = append(names, name)
		relay.Spec.Upstreams = append(relay.Spec.Upstreams, v1alpha1.Upstream{Name: name, Provider: "sendgrid", Weight: ptr(int32(1))})
	}
	for i := range 32 {
		r := v1alpha1.Route{Upstreams: names}
		for n := range 32 {
			address := fmt.Sprintf("%s-%02d-%02d@%s", strings.Repeat("a", 58), i, n, strings.TrimSuffix(strings.Repeat("example-domain.", 12), "."))
			r.Senders, r.Recipients = append(r.Senders, address), append(r.Recipients, address)
		}
		relay.Spec.Routes = append(relay.Spec.Routes, r)
	}
	relay.Spec.Routes[31] = v1alpha1.Route{Upstreams: names}
	if err := c.Create(t.Context(), relay, client.DryRunAll); err != nil {
		t.Error(err)
	}
}
