package resources

import "github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"

// Labels of everything that the operator writes.
const (
	// ManagedByLabel with the value ManagedBy marks what the operator writes; its caches
	// hold nothing else of most kinds.
	ManagedByLabel = "app.kubernetes.io/managed-by"
	// ManagedBy is the value of ManagedByLabel.
	ManagedBy = "mailrelay-operator"
	// RelayLabel names the MailRelay, in the same namespace, that an object belongs to.
	RelayLabel = "mailrelay.dev/relay"
	// UserLabel names the RelayUser, in the same namespace unless UserNamespaceLabel says
	// otherwise, that an object is for.
	UserLabel = "mailrelay.dev/user"
	// UserNamespaceLabel names the namespace of the RelayUser that a CertificateRequest is for.
	UserNamespaceLabel = "mailrelay.dev/user-namespace"
	// CertificateLabel marks the Secrets that cert-manager writes for a relay. cert-manager
	// does not own them, so the operator deletes them with the relay.
	CertificateLabel = "mailrelay.dev/certificate"
	// GenerationLabel is the number of the generation of the internal CA that a Certificate,
	// Issuer or Secret is part of.
	GenerationLabel = "mailrelay.dev/ca-generation"

	nameLabel = "app.kubernetes.io/name"
	appName   = "mailrelay"
)

// Annotations that people set on a MailRelay, and the operator on pods and Secrets.
const (
	// DiscardQueueAnnotation with the value "true" on a MailRelay lets its deletion go on
	// although mail is queued. The mail is lost.
	DiscardQueueAnnotation = "mailrelay.dev/discard-queue"
	// RotateCAAnnotation on a MailRelay asks with each new value for a rotation of its internal
	// CA. The Certificate of a generation holds the value that it was made for.
	RotateCAAnnotation = "mailrelay.dev/rotate-ca"
	// RotateDKIMAnnotation on a MailRelay asks for another key in the place of each DKIM key that
	// the operator makes, whenever its value changes.
	RotateDKIMAnnotation = "mailrelay.dev/rotate-dkim"
	// NudgeAnnotation on a pod changes when a mounted Secret has changed, which makes the
	// kubelet refresh the volumes at once.
	NudgeAnnotation = "mailrelay.dev/configuration"

	// IssuedAnnotation on a user's Secret is when its password was made (RFC 3339).
	IssuedAnnotation = "mailrelay.dev/issued"
	// PreviousUntilAnnotation on a user's Secret is when the password before it ends (RFC 3339).
	PreviousUntilAnnotation = "mailrelay.dev/previous-until"

	// startAnnotation on the pod template holds the StartHash, so that pods restart when what
	// they read only at start has changed.
	startAnnotation = "mailrelay.dev/start"
)

// Labels of every child of a relay.
func Labels(relay *v1alpha1.MailRelay) map[string]string {
	return map[string]string{
		nameLabel:      appName,
		ManagedByLabel: ManagedBy,
		RelayLabel:     relay.Name,
	}
}

// PodSelector chooses the pods of a relay. It can never change: a StatefulSet's selector is
// immutable.
func PodSelector(relay *v1alpha1.MailRelay) map[string]string {
	return map[string]string{nameLabel: appName, RelayLabel: relay.Name}
}

func certificateLabels(relay *v1alpha1.MailRelay) map[string]string {
	labels := Labels(relay)
	labels[CertificateLabel] = "true"
	return labels
}
