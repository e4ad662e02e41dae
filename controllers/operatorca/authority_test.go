package operatorca

import (
	"bytes"
	"crypto/x509"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

const namespace = "mailrelay-system"

func newAuthority(c client.Client, now *time.Time) *Authority {
	return &Authority{Reader: c, Writer: c, Namespace: namespace, Now: func() time.Time { return *now }}
}

func TestAuthorityIsMadeOnceAndKept(t *testing.T) {
	t.Parallel()
	c, now := fake.NewClientBuilder().Build(), time.Now()
	first := newAuthority(c, &now)
	if _, err := first.ClientCertificate(); err == nil {
		t.Error("a client certificate without a CA")
	}
	bundle, err := first.Bundle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// An operator that starts later finds it.
	again, err := newAuthority(c, &now).Bundle(t.Context())
	if err != nil || !bytes.Equal(bundle, again) {
		t.Errorf("the second operator has another CA: %v", err)
	}
	secret := &corev1.Secret{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: SecretName}, secret); err != nil {
		t.Fatal(err)
	}
	if secret.Type != corev1.SecretTypeTLS || !bytes.Equal(secret.Data[corev1.TLSCertKey], bundle) {
		t.Errorf("Secret of type %s does not hold the bundle", secret.Type)
	}
}

func TestClientCertificateIsShortLivedAndRenewed(t *testing.T) {
	t.Parallel()
	now := time.Now()
	authority := newAuthority(fake.NewClientBuilder().Build(), &now)
	bundle, err := authority.Bundle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	first, err := authority.ClientCertificate()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Errorf("relays would not accept it: %v", err)
	}
	if _, err := first.Leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err == nil {
		t.Error("it could be used as a server's")
	}
	if same, _ := authority.ClientCertificate(); same != first {
		t.Error("a fresh certificate is not reused")
	}
	now = now.Add(clientLifetime/2 + time.Minute)
	second, err := authority.ClientCertificate()
	if err != nil || second == first || !second.Leaf.NotAfter.After(first.Leaf.NotAfter) {
		t.Errorf("after half its life it is not renewed: %v", err)
	}
}

func TestAuthorityReplacesWhatCannotBeUsed(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c := fake.NewClientBuilder().Build()
	broken := &corev1.Secret{Data: map[string][]byte{"tls.crt": []byte("x"), "tls.key": []byte("y")}}
	broken.Namespace, broken.Name = namespace, SecretName
	if err := c.Create(t.Context(), broken); err != nil {
		t.Fatal(err)
	}
	authority := newAuthority(c, &now)
	first, err := authority.Bundle(t.Context())
	if err != nil {
		t.Fatalf("a broken Secret is not replaced: %v", err)
	}
	now = now.Add(caLifetime - caRenewBefore + time.Hour)
	second, err := authority.Bundle(t.Context())
	if err != nil || bytes.Equal(first, second) {
		t.Errorf("a CA that ends soon is not replaced: %v", err)
	}
}
