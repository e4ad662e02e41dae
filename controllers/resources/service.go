package resources

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// Service is what apps connect to: the ports of the listeners that are on.
func Service(relay *v1alpha1.MailRelay) *corev1ac.ServiceApplyConfiguration {
	spec := corev1ac.ServiceSpec().
		WithType(serviceType(relay)).
		WithSelector(PodSelector(relay)).
		WithPorts(listenerPorts(relay)...)
	if serviceType(relay) == corev1.ServiceTypeLoadBalancer {
		spec.WithLoadBalancerSourceRanges(relay.Spec.Service.LoadBalancerSourceRanges...)
	}
	return corev1ac.Service(relay.Name, relay.Namespace).
		WithLabels(Labels(relay)).
		WithAnnotations(relay.Spec.Service.Annotations).
		WithSpec(spec)
}

// PodsService gives every pod a name of its own, also while it is not ready.
func PodsService(relay *v1alpha1.MailRelay) *corev1ac.ServiceApplyConfiguration {
	return corev1ac.Service(PodsServiceName(relay), relay.Namespace).
		WithLabels(Labels(relay)).
		WithSpec(corev1ac.ServiceSpec().
			WithClusterIP(corev1.ClusterIPNone).
			WithPublishNotReadyAddresses(true).
			WithSelector(PodSelector(relay)).
			WithPorts(listenerPorts(relay)...))
}

func serviceType(relay *v1alpha1.MailRelay) corev1.ServiceType {
	if relay.Spec.Service.Type == "" {
		return corev1.ServiceTypeClusterIP
	}
	return relay.Spec.Service.Type
}

func listenerPorts(relay *v1alpha1.MailRelay) []*corev1ac.ServicePortApplyConfiguration {
	var ports []*corev1ac.ServicePortApplyConfiguration
	if SubmissionsEnabled(relay) {
		ports = append(ports, servicePort("submissions", SubmissionsPort))
	}
	if SubmissionEnabled(relay) {
		ports = append(ports, servicePort("submission", SubmissionPort))
	}
	return ports
}

func servicePort(name string, port int32) *corev1ac.ServicePortApplyConfiguration {
	return corev1ac.ServicePort().
		WithName(name).
		WithAppProtocol(name).
		WithPort(port).
		WithProtocol(corev1.ProtocolTCP).
		WithTargetPort(intstr.FromInt32(port))
}

// Endpoints are where apps submit mail, as status shows it.
func Endpoints(relay *v1alpha1.MailRelay) []v1alpha1.Endpoint {
	var endpoints []v1alpha1.Endpoint
	if SubmissionsEnabled(relay) {
		endpoints = append(endpoints, v1alpha1.Endpoint{Host: Host(relay), Port: SubmissionsPort, TLS: "Implicit"})
	}
	if SubmissionEnabled(relay) {
		endpoints = append(endpoints, v1alpha1.Endpoint{Host: Host(relay), Port: SubmissionPort, TLS: "StartTLS"})
	}
	return endpoints
}
