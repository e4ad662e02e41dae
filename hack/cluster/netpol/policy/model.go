// Package policy turns NetworkPolicies, pods and namespaces into plain lists of
// addresses and ports, free of selectors and of anything about the firewall.
package policy

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// State is what the API server says at one moment.
type State struct {
	Policies   []*networkingv1.NetworkPolicy
	Pods       []*corev1.Pod
	Namespaces []*corev1.Namespace
}

// Model says, for each isolated pod address, which peers it may talk to. An
// address that is no key of a direction is open in that direction.
type Model struct {
	// Ingress holds what may open connections to the pod.
	Ingress map[netip.Addr][]Allow
	// Egress holds what the pod may open connections to.
	Egress map[netip.Addr][]Allow
}

// Allow lets traffic through that matches both its peers and its ports.
type Allow struct {
	// Peers are sorted and neither overlap nor touch; nil means everyone.
	Peers []Range
	// Ports are destination ports; nil means every port of every protocol.
	Ports []PortRange
}

// Range is a span of IPv4 addresses, both ends included.
type Range struct{ From, To netip.Addr }

// PortRange is a span of ports of one protocol, both ends included.
type PortRange struct {
	Protocol corev1.Protocol
	From, To uint16
}
