package controllers

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// The certificate for external names can come from a person's Secret, then from an issuer,
// then not at all, and the pods are never touched.
func TestExternalCertificateChangesItsSource(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	mounted := secretNamed(namespace, "relay-external-tls")
	holds := func(what string, right func(certificate string) bool) {
		t.Helper()
		eventually(t, "the mounted certificate is "+what, func() error {
			if err := c.Get(t.Context(), keyOf(mounted), mounted); err != nil {
				return err
			}
			if got := string(mounted.Data["tls.crt"]); !right(got) {
				return fmt.Errorf("it is %q", got)
			}
			return nil
		})
	}

	names := []string{"mail.example.com"}
	c.change(t, relay, func() {
		relay.Spec.TLS = &v1alpha1.RelayTLS{Names: names, SecretRef: &v1alpha1.LocalSecretReference{Name: "theirs"}}
	})
	message := c.awaitCondition(t, relay, v1alpha1.ConditionCertificateReady, metav1.ConditionFalse, "ExternalCertificateMissing")
	if !strings.Contains(message, "Secret theirs, which does not exist") {
		t.Errorf("message = %q", message)
	}
	theirs := secretNamed(namespace, "theirs")
	theirs.Type = corev1.SecretTypeTLS
	theirs.Data = externalPair(t, "mail.example.com", time.Hour)
	first := string(theirs.Data["tls.crt"])
	c.mustCreate(t, theirs)
	holds("theirs", func(got string) bool { return got == first })
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionTrue, "Serving")

	c.change(t, relay, func() {
		relay.Spec.TLS = &v1alpha1.RelayTLS{Names: append(names, "*.example.com"), IssuerRef: &v1alpha1.IssuerReference{Name: "public"}}
	})
	holds("issued", func(got string) bool { return got != first })
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionTrue, "Serving")

	c.change(t, relay, func() { relay.Spec.TLS = nil })
	eventually(t, "the certificate goes", func() error {
		if err := c.Get(t.Context(), keyOf(mounted), mounted); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is there, or %w", err)
		}
		return nil
	})
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionTrue, "Serving")
}

// externalPair is a certificate for a name that ends after a time.
func externalPair(t *testing.T, name string, ends time.Duration) map[string][]byte {
	t.Helper()
	data, err := newKeyPair(&x509.Certificate{
		Subject: pkix.Name{CommonName: "a person"}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(ends),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestLastGoodExternalCertificateStays(t *testing.T) {
	c, namespace := onCluster(t)
	const name = "mail.example.com"
	theirs := secretNamed(namespace, "theirs")
	theirs.Data = externalPair(t, name, time.Hour)
	good := theirs.Data
	c.mustCreate(t, theirs)
	relay, _ := c.readyRelay(t, namespace, func(r *v1alpha1.MailRelay) {
		r.Spec.TLS = &v1alpha1.RelayTLS{Names: []string{name}, SecretRef: &v1alpha1.LocalSecretReference{Name: "theirs"}}
	})
	mounted := secretNamed(namespace, "relay-external-tls")
	c.await(t, mounted)
	version := mounted.ResourceVersion

	another := externalPair(t, name, time.Hour)
	for _, tc := range []struct {
		name, reason, want string
		data               map[string][]byte
	}{
		{"a key that does not match", "ExternalCertificateInvalid", "cannot be used together", map[string][]byte{"tls.crt": good["tls.crt"], "tls.key": another["tls.key"]}},
		{"no key", "ExternalCertificateInvalid", "lacks tls.crt or tls.key: add them", map[string][]byte{"tls.crt": good["tls.crt"]}},
		{"no certificate but text", "ExternalCertificateInvalid", "write both anew in PEM", map[string][]byte{"tls.crt": []byte("x"), "tls.key": good["tls.key"]}},
		{"an expired certificate", "ExternalCertificateInvalid", "the certificate ended at", externalPair(t, name, -time.Hour)},
		{"a certificate for other names", "ExternalCertificateInvalid", "none of spec.tls.names, but for [other.example.com]", externalPair(t, "other.example.com", time.Hour)},
		{"no Secret", "ExternalCertificateMissing", "Secret theirs, which does not exist", nil},
	} {
		if tc.data == nil {
			if err := c.Delete(t.Context(), theirs); err != nil {
				t.Fatal(err)
			}
		} else {
			c.change(t, theirs, func() { theirs.Data = tc.data })
		}
		eventually(t, tc.name, func() error {
			message := c.awaitCondition(t, relay, v1alpha1.ConditionCertificateReady, metav1.ConditionFalse, tc.reason)
			if !strings.Contains(message, tc.want) || !strings.Contains(message, "what was last good") {
				return fmt.Errorf("the message is %q", message)
			}
			return nil
		})
		c.mustGet(t, mounted)
		if mounted.ResourceVersion != version {
			t.Errorf("%s: what the pods mount was changed", tc.name)
		}
	}
	var served []string
	for _, s := range relay.Status.Certificates {
		served = append(served, fmt.Sprint(s.Name, " ", s.Ports, " ", s.Issuer, " ", s.Verified != nil && *s.Verified))
	}
	if want := []string{"internal [465 587] relay internal CA 1 true", "external [465 587] a person true"}; !slices.Equal(served, want) {
		t.Errorf("status.certificates = %v, want the last good ones, %v", served, want)
	}
	c.mustCreate(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "theirs"}, Data: another})
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionTrue, "Serving")
	if !slices.ContainsFunc(c.eventsOf(t, namespace), func(event eventsv1.Event) bool {
		return event.Regarding.Kind == "MailRelay" && strings.Contains(event.Note, "cannot be used together")
	}) {
		t.Error("no event tells of the key that did not match")
	}
}
