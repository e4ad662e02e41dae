package resources

import (
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmv1ac "github.com/cert-manager/cert-manager/pkg/client/applyconfigurations/certmanager/v1"
	cmmetav1ac "github.com/cert-manager/cert-manager/pkg/client/applyconfigurations/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

const (
	issuerKind  = "Issuer"
	issuerGroup = "cert-manager.io"

	// LeafDuration is how long a certificate lives at most that the internal CA signs.
	LeafDuration    = 90 * 24 * time.Hour
	leafRenewBefore = 30 * 24 * time.Hour
)

// Certificate is for the names that the relay has inside the cluster, signed by that generation
// of its internal CA.
func Certificate(relay *v1alpha1.MailRelay, generation int, clusterDomain string) *cmv1ac.CertificateApplyConfiguration {
	return certificate(relay, TLSName(relay), TLSName(relay), "",
		issuer(CAName(relay, generation), issuerKind, issuerGroup), func(spec *cmv1ac.CertificateSpecApplyConfiguration) {
			leaf(spec)
			spec.WithDNSNames(internalNames(relay, clusterDomain)...)
		})
}

// ExternalCertificate is for the names outside the cluster, nil when no issuer is named.
func ExternalCertificate(relay *v1alpha1.MailRelay) *cmv1ac.CertificateApplyConfiguration {
	tls := relay.Spec.TLS
	if tls == nil || tls.IssuerRef == nil {
		return nil
	}
	return certificate(relay, ExternalName(relay), ExternalTLSName(relay), "",
		externalIssuer(tls.IssuerRef), func(spec *cmv1ac.CertificateSpecApplyConfiguration) {
			// An outside issuer decides on the duration itself.
			spec.WithUsages(cmv1.UsageServerAuth, cmv1.UsageDigitalSignature)
			spec.WithDNSNames(tls.Names...)
		})
}

// internalNames are what apps may call the relay, and each pod's own name.
func internalNames(relay *v1alpha1.MailRelay, clusterDomain string) []string {
	service := relay.Name + "." + relay.Namespace
	pods := PodsServiceName(relay) + "." + relay.Namespace
	return []string{
		relay.Name,
		service,
		Host(relay),
		Host(relay) + "." + clusterDomain,
		"*." + pods + ".svc",
		"*." + pods + ".svc." + clusterDomain,
	}
}

type certificateSpec = cmv1ac.CertificateSpecApplyConfiguration

func leaf(spec *certificateSpec) {
	spec.WithDuration(metav1.Duration{Duration: LeafDuration}).
		WithRenewBefore(metav1.Duration{Duration: leafRenewBefore}).
		WithUsages(cmv1.UsageServerAuth, cmv1.UsageDigitalSignature)
}

func certificate(relay *v1alpha1.MailRelay, name, secretName, commonName string,
	issuer *cmmetav1ac.IssuerReferenceApplyConfiguration, fill func(*certificateSpec),
) *cmv1ac.CertificateApplyConfiguration {
	spec := cmv1ac.CertificateSpec().
		WithSecretName(secretName).
		WithSecretTemplate(cmv1ac.CertificateSecretTemplate().WithLabels(certificateLabels(relay))).
		WithPrivateKey(cmv1ac.CertificatePrivateKey().
			WithAlgorithm(cmv1.ECDSAKeyAlgorithm).
			WithSize(256).
			WithRotationPolicy(cmv1.RotationPolicyAlways)).
		WithIssuerRef(issuer)
	if commonName != "" {
		spec.WithCommonName(commonName)
	}
	fill(spec)
	return cmv1ac.Certificate(name, relay.Namespace).WithLabels(Labels(relay)).WithSpec(spec)
}

func externalIssuer(ref *v1alpha1.IssuerReference) *cmmetav1ac.IssuerReferenceApplyConfiguration {
	kind, group := IssuerKind(ref)
	return issuer(ref.Name, kind, group)
}

// IssuerKind is the kind and API group of an issuer reference.
func IssuerKind(ref *v1alpha1.IssuerReference) (kind, group string) {
	kind, group = issuerKind, issuerGroup
	if ref.Kind != "" {
		kind = ref.Kind
	}
	if ref.Group != "" {
		group = ref.Group
	}
	return kind, group
}

func issuer(name, kind, group string) *cmmetav1ac.IssuerReferenceApplyConfiguration {
	return cmmetav1ac.IssuerReference().WithName(name).WithKind(kind).WithGroup(group)
}
