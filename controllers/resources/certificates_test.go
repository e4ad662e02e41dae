package resources

import (
	"slices"
	"testing"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

func TestInternalCertificates(t *testing.T) {
	t.Parallel()
	relay := testRelay()
	ca := render[cmv1.Certificate](t, CACertificate(relay))
	if !ca.Spec.IsCA || ca.Spec.IssuerRef.Name != "relay-selfsigned" || ca.Spec.SecretName != "relay-ca" || ca.Spec.CommonName == "" {
		t.Errorf("CA = %+v", ca.Spec)
	}
	issuer := render[cmv1.Issuer](t, CAIssuer(relay))
	if issuer.Spec.CA == nil || issuer.Spec.CA.SecretName != ca.Spec.SecretName {
		t.Errorf("CA issuer = %+v", issuer.Spec)
	}
	if selfSigned := render[cmv1.Issuer](t, SelfSignedIssuer(relay)); selfSigned.Spec.SelfSigned == nil {
		t.Errorf("self-signed issuer = %+v", selfSigned.Spec)
	}
	leaf := render[cmv1.Certificate](t, Certificate(relay, "cluster.local"))
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
	ca := render[cmv1.Certificate](t, CACertificate(relay))
	leaf := render[cmv1.Certificate](t, Certificate(relay, "cluster.local"))
	for _, c := range []*cmv1.Certificate{ca, leaf} {
		if c.Spec.PrivateKey.RotationPolicy != cmv1.RotationPolicyAlways || c.Spec.PrivateKey.Algorithm != cmv1.ECDSAKeyAlgorithm {
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
