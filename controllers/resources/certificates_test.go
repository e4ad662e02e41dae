package resources

import (
	"slices"
	"testing"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

func TestInternalCertificates(t *testing.T) {
	t.Parallel()
	relay := testRelay()
	ca := render[cmv1.Certificate](t, CACertificate(relay, 7, "monday"))
	if !ca.Spec.IsCA || ca.Spec.IssuerRef.Name != "relay-selfsigned" || ca.Spec.SecretName != "relay-ca-7" || ca.Spec.CommonName != "relay internal CA 7" {
		t.Errorf("CA = %+v", ca.Spec)
	}
	if ca.Annotations[RotateCAAnnotation] != "monday" {
		t.Errorf("it does not hold what it was made for: %v", ca.Annotations)
	}
	issuer := render[cmv1.Issuer](t, CAIssuer(relay, 7))
	for _, object := range []metav1.Object{ca, issuer, &metav1.ObjectMeta{Labels: ca.Spec.SecretTemplate.Labels}} {
		if CAGeneration(object) != 7 {
			t.Errorf("labels %v: it would not be found again", object.GetLabels())
		}
	}
	if issuer.Spec.CA == nil || issuer.Spec.CA.SecretName != ca.Spec.SecretName {
		t.Errorf("CA issuer = %+v", issuer.Spec)
	}
	if selfSigned := render[cmv1.Issuer](t, SelfSignedIssuer(relay)); selfSigned.Spec.SelfSigned == nil {
		t.Errorf("self-signed issuer = %+v", selfSigned.Spec)
	}
	leaf := render[cmv1.Certificate](t, Certificate(relay, 7, "cluster.local"))
	if leaf.Spec.IsCA || leaf.Spec.IssuerRef.Name != issuer.Name || leaf.Spec.SecretName != "relay-tls" {
		t.Errorf("leaf = %+v", leaf.Spec)
	}
	for _, name := range []string{"relay", "relay.mail", "relay.mail.svc", "relay.mail.svc.cluster.local"} {
		if !slices.Contains(leaf.Spec.DNSNames, name) {
			t.Errorf("the leaf lacks %s: %v", name, leaf.Spec.DNSNames)
		}
	}
}

func TestInternalCertificatesRotateAndAreFoundAgain(t *testing.T) {
	t.Parallel()
	relay := testRelay()
	ca := render[cmv1.Certificate](t, CACertificate(relay, 1, ""))
	leaf := render[cmv1.Certificate](t, Certificate(relay, 1, "cluster.local"))
	// A generation of the CA is replaced; with another key in its place the leaf would not be trusted.
	policies := map[string]cmv1.PrivateKeyRotationPolicy{"relay-ca-1": cmv1.RotationPolicyNever, "relay-tls": cmv1.RotationPolicyAlways}
	for _, c := range []*cmv1.Certificate{ca, leaf} {
		if c.Spec.PrivateKey.RotationPolicy != policies[c.Name] || c.Spec.PrivateKey.Algorithm != cmv1.ECDSAKeyAlgorithm {
			t.Errorf("%s: key = %+v", c.Name, c.Spec.PrivateKey)
		}
		if c.Spec.SecretTemplate.Labels[CertificateLabel] == "" || c.Spec.SecretTemplate.Labels[RelayLabel] != "relay" {
			t.Errorf("%s: the Secret would not be found again: %v", c.Name, c.Spec.SecretTemplate)
		}
		if c.Spec.Duration.Duration < time.Hour || c.Spec.RenewBefore.Duration >= c.Spec.Duration.Duration {
			t.Errorf("%s: %v, renewed %v before", c.Name, c.Spec.Duration, c.Spec.RenewBefore)
		}
	}
}

func TestExternalCertificate(t *testing.T) {
	t.Parallel()
	relay := testRelay()
	if ExternalCertificate(relay) != nil {
		t.Error("a certificate that nobody asked for")
	}
	relay.Spec.TLS = &v1alpha1.RelayTLS{Names: []string{"mail.example.com"}, IssuerRef: &v1alpha1.IssuerReference{Name: "public"}}
	for _, tc := range []struct{ kind, group, wantKind, wantGroup string }{
		{"", "", "Issuer", "cert-manager.io"},
		{"ClusterIssuer", "", "ClusterIssuer", "cert-manager.io"},
		{"Special", "issuers.example", "Special", "issuers.example"},
	} {
		relay.Spec.TLS.IssuerRef.Kind, relay.Spec.TLS.IssuerRef.Group = tc.kind, tc.group
		c := render[cmv1.Certificate](t, ExternalCertificate(relay))
		if c.Spec.IssuerRef.Kind != tc.wantKind || c.Spec.IssuerRef.Group != tc.wantGroup || c.Spec.IssuerRef.Name != "public" {
			t.Errorf("issuer = %+v", c.Spec.IssuerRef)
		}
		if !slices.Equal(c.Spec.DNSNames, []string{"mail.example.com"}) || c.Spec.SecretName != "relay-external-tls" || c.Name != "relay-external" {
			t.Errorf("certificate %s = %+v", c.Name, c.Spec)
		}
	}
}
