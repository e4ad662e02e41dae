package controllers

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
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
	theirs.Data = map[string][]byte{"tls.crt": []byte("their certificate"), "tls.key": []byte("their key")}
	c.mustCreate(t, theirs)
	holds("theirs", func(got string) bool { return got == "their certificate" })
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionTrue, "Serving")

	c.change(t, relay, func() {
		relay.Spec.TLS = &v1alpha1.RelayTLS{Names: names, IssuerRef: &v1alpha1.IssuerReference{Name: "public"}}
	})
	holds("issued", func(got string) bool { return got != "their certificate" })
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
