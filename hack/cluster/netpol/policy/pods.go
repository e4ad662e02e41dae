package policy

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// endpoint is a pod that has an address of its own.
type endpoint struct {
	pod  *corev1.Pod
	addr netip.Addr
}

// endpoints returns the pods that policies are about. Pods on the host's network
// share the node's address, and the address of a finished pod may already be
// another's.
func endpoints(pods []*corev1.Pod) []endpoint {
	var found []endpoint
	for _, pod := range pods {
		done := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		addr, err := netip.ParseAddr(pod.Status.PodIP)
		if done || pod.Spec.HostNetwork || err != nil || !addr.Is4() {
			continue
		}
		found = append(found, endpoint{pod: pod, addr: addr})
	}
	return found
}

// namespaceLabels indexes labels by the name of the namespace.
func namespaceLabels(namespaces []*corev1.Namespace) map[string]labels.Set {
	index := make(map[string]labels.Set, len(namespaces))
	for _, n := range namespaces {
		index[n.Name] = n.Labels
	}
	return index
}

// matches tells whether selector selects set. A selector that cannot be read
// selects nothing; the API server lets none through.
func matches(selector *metav1.LabelSelector, set labels.Set) bool {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(set)
}
