package resources

import (
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// ServiceAccount of the relay pods. They never talk to the API server and get no token.
func ServiceAccount(relay *v1alpha1.MailRelay) *corev1ac.ServiceAccountApplyConfiguration {
	return corev1ac.ServiceAccount(relay.Name, relay.Namespace).
		WithLabels(Labels(relay)).
		WithAutomountServiceAccountToken(false)
}
