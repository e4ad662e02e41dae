package resources

import (
	"strconv"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmv1ac "github.com/cert-manager/cert-manager/pkg/client/applyconfigurations/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

const (
	// A generation is published for a third of its life, signs for the next third, and is then
	// replaced. So an app may keep the bundle that it has read for two years.
	caDuration = 6 * 365 * 24 * time.Hour
	// What should never happen, since a generation is replaced long before, must do no harm:
	// cert-manager would renew it at the last moment, and with the key that it has.
	caRenewBefore = 24 * time.Hour
)

// SelfSignedIssuer signs the generations of the internal CA and nothing else.
func SelfSignedIssuer(relay *v1alpha1.MailRelay) *cmv1ac.IssuerApplyConfiguration {
	return cmv1ac.Issuer(SelfSignedName(relay), relay.Namespace).
		WithLabels(Labels(relay)).
		WithSpec(cmv1ac.IssuerSpec().WithSelfSigned(cmv1ac.SelfSignedIssuer()))
}

// CACertificate is one generation of the relay's internal CA, made for a value of
// RotateCAAnnotation.
func CACertificate(relay *v1alpha1.MailRelay, generation int, rotation string) *cmv1ac.CertificateApplyConfiguration {
	name := CAName(relay, generation)
	ca := certificate(relay, name, name, relay.Name+" internal CA "+strconv.Itoa(generation),
		issuer(SelfSignedName(relay), issuerKind, issuerGroup), func(spec *certificateSpec) {
			spec.WithIsCA(true).
				WithDuration(metav1.Duration{Duration: caDuration}).
				WithRenewBefore(metav1.Duration{Duration: caRenewBefore}).
				WithUsages(cmv1.UsageCertSign, cmv1.UsageCRLSign, cmv1.UsageDigitalSignature)
			spec.PrivateKey.WithRotationPolicy(cmv1.RotationPolicyNever)
			spec.SecretTemplate.WithLabels(generationLabel(generation))
		}).WithLabels(generationLabel(generation))
	if rotation != "" {
		ca.WithAnnotations(map[string]string{RotateCAAnnotation: rotation})
	}
	return ca
}

// CAIssuer signs with one generation of the internal CA.
func CAIssuer(relay *v1alpha1.MailRelay, generation int) *cmv1ac.IssuerApplyConfiguration {
	name := CAName(relay, generation)
	return cmv1ac.Issuer(name, relay.Namespace).
		WithLabels(Labels(relay)).
		WithLabels(generationLabel(generation)).
		WithSpec(cmv1ac.IssuerSpec().WithCA(cmv1ac.CAIssuer().WithSecretName(name)))
}

// TrustConfigMap holds the CAs that apps trust, for those that do not use the Secret of a
// RelayUser.
func TrustConfigMap(relay *v1alpha1.MailRelay, bundle []byte) *corev1ac.ConfigMapApplyConfiguration {
	return corev1ac.ConfigMap(TrustName(relay), relay.Namespace).
		WithLabels(Labels(relay)).
		WithData(map[string]string{CAKey: string(bundle)})
}

func generationLabel(generation int) map[string]string {
	return map[string]string{GenerationLabel: strconv.Itoa(generation)}
}

// CAGeneration is the number of the generation that an object is part of; 0 for none.
func CAGeneration(object metav1.Object) int {
	number, err := strconv.Atoi(object.GetLabels()[GenerationLabel])
	if err != nil || number < 1 {
		return 0
	}
	return number
}
