package policy

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// lastPort is the highest port number.
const lastPort = 65535

// numericPort returns the span of a policy port that is given by number or left
// out, in which case it means every port of the protocol.
func numericPort(port networkingv1.NetworkPolicyPort) PortRange {
	span := PortRange{Protocol: protocol(port), From: 0, To: lastPort}
	if port.Port != nil {
		span.From = uint16(port.Port.IntVal)
		span.To = span.From
	}
	if port.EndPort != nil {
		span.To = uint16(*port.EndPort)
	}
	return span
}

func protocol(port networkingv1.NetworkPolicyPort) corev1.Protocol {
	if port.Protocol == nil {
		return corev1.ProtocolTCP
	}
	return *port.Protocol
}

func isNamed(port networkingv1.NetworkPolicyPort) bool {
	return port.Port != nil && port.Port.Type == intstr.String
}

// namedPort returns the number that pod gives to the name in port.
func namedPort(pod *corev1.Pod, port networkingv1.NetworkPolicyPort) (PortRange, bool) {
	// Init containers count too: a sidecar is one that never ends.
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, p := range container.Ports {
			declared := p.Protocol
			if declared == "" {
				declared = corev1.ProtocolTCP
			}
			if p.Name == port.Port.StrVal && declared == protocol(port) {
				number := uint16(p.ContainerPort)
				return PortRange{Protocol: declared, From: number, To: number}, true
			}
		}
	}
	return PortRange{}, false
}
