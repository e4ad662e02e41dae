package resources

import (
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// PodDisruptionBudget lets one pod at a time be evicted, and always one that does not work:
// a broken relay must not keep a node from being drained.
func PodDisruptionBudget(relay *v1alpha1.MailRelay) *policyv1ac.PodDisruptionBudgetApplyConfiguration {
	return policyv1ac.PodDisruptionBudget(relay.Name, relay.Namespace).
		WithLabels(Labels(relay)).
		WithSpec(policyv1ac.PodDisruptionBudgetSpec().
			WithMaxUnavailable(intstr.FromInt32(1)).
			WithUnhealthyPodEvictionPolicy(policyv1.AlwaysAllow).
			WithSelector(metav1ac.LabelSelector().WithMatchLabels(PodSelector(relay))))
}
