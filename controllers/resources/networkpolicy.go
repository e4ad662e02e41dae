package resources

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// NetworkPolicy closes everything that the relay does not need: in, mail from those that
// access lets in, the status port from the operator, metrics from where they are read; out,
// name resolution and the upstreams. Pods of operatorNamespace may read the status.
func NetworkPolicy(relay *v1alpha1.MailRelay, operatorNamespace string) *networkingv1ac.NetworkPolicyApplyConfiguration {
	return networkingv1ac.NetworkPolicy(relay.Name, relay.Namespace).
		WithLabels(Labels(relay)).
		WithSpec(networkingv1ac.NetworkPolicySpec().
			WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(PodSelector(relay))).
			WithPolicyTypes(networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress).
			WithIngress(ingress(relay, operatorNamespace)...).
			WithEgress(egress(relay)...))
}

type (
	ingressRule = networkingv1ac.NetworkPolicyIngressRuleApplyConfiguration
	egressRule  = networkingv1ac.NetworkPolicyEgressRuleApplyConfiguration
	peer        = networkingv1ac.NetworkPolicyPeerApplyConfiguration
	policyPort  = networkingv1ac.NetworkPolicyPortApplyConfiguration
)

func ingress(relay *v1alpha1.MailRelay, operatorNamespace string) []*ingressRule {
	rules := []*ingressRule{
		networkingv1ac.NetworkPolicyIngressRule().
			WithPorts(tcp(StatusPort)).
			WithFrom(operatorPods(operatorNamespace)),
		// The kubelet's probes come from the node, whose address is not known here. The port
		// gives no data.
		networkingv1ac.NetworkPolicyIngressRule().WithPorts(tcp(ProbesPort)),
	}
	// A rule that names no peer is open to all.
	if peers := clients(relay); len(peers) > 0 {
		rules = append(rules, networkingv1ac.NetworkPolicyIngressRule().
			WithPorts(listenerPolicyPorts(relay)...).
			WithFrom(peers...))
	}
	if selector := relay.Spec.NetworkPolicy.MetricsFrom; selector != nil {
		rules = append(rules, networkingv1ac.NetworkPolicyIngressRule().
			WithPorts(tcp(MetricsPort)).
			WithFrom(networkingv1ac.NetworkPolicyPeer().WithNamespaceSelector(labelSelector(selector))))
	}
	return rules
}

func listenerPolicyPorts(relay *v1alpha1.MailRelay) []*policyPort {
	var ports []*policyPort
	if SubmissionsEnabled(relay) {
		ports = append(ports, tcp(SubmissionsPort))
	}
	if SubmissionEnabled(relay) {
		ports = append(ports, tcp(SubmissionPort))
	}
	return ports
}

// clients are the pods and addresses that may submit mail.
func clients(relay *v1alpha1.MailRelay) []*peer {
	var peers []*peer
	if relay.Spec.Access == nil {
		peers = append(peers, anyPodHere())
	} else {
		for i := range relay.Spec.Access.Rules {
			peers = append(peers, ruleClients(&relay.Spec.Access.Rules[i])...)
		}
	}
	if serviceType(relay) == corev1.ServiceTypeLoadBalancer {
		peers = append(peers, blocks(relay.Spec.Service.LoadBalancerSourceRanges)...)
	}
	return peers
}

// ruleClients are whom one access rule lets in: the union of the namespaces named and those
// selected, narrowed to the pods selected, and the address blocks.
func ruleClients(rule *v1alpha1.AccessRule) []*peer {
	var peers []*peer
	pods := func(p *peer) *peer {
		if rule.PodSelector != nil {
			p.WithPodSelector(labelSelector(rule.PodSelector))
		}
		return p
	}
	switch {
	case rule.Namespaces != nil:
		if len(rule.Namespaces.Names) > 0 {
			peers = append(peers, pods(networkingv1ac.NetworkPolicyPeer().
				WithNamespaceSelector(namespacesNamed(rule.Namespaces.Names...))))
		}
		if rule.Namespaces.Selector != nil {
			peers = append(peers, pods(networkingv1ac.NetworkPolicyPeer().
				WithNamespaceSelector(labelSelector(rule.Namespaces.Selector))))
		}
	case rule.PodSelector != nil:
		peers = append(peers, pods(networkingv1ac.NetworkPolicyPeer()))
	default:
		peers = append(peers, anyPodHere())
	}
	return append(peers, blocks(rule.CIDRs)...)
}

func anyPodHere() *peer {
	return networkingv1ac.NetworkPolicyPeer().WithPodSelector(metav1ac.LabelSelector())
}

func operatorPods(namespace string) *peer {
	return networkingv1ac.NetworkPolicyPeer().
		WithNamespaceSelector(namespacesNamed(namespace)).
		WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(map[string]string{nameLabel: ManagedBy}))
}

func namespacesNamed(names ...string) *metav1ac.LabelSelectorApplyConfiguration {
	return metav1ac.LabelSelector().WithMatchExpressions(metav1ac.LabelSelectorRequirement().
		WithKey(corev1.LabelMetadataName).
		WithOperator("In").
		WithValues(names...))
}

func blocks(cidrs []string) []*peer {
	peers := make([]*peer, 0, len(cidrs))
	for _, cidr := range cidrs {
		peers = append(peers, networkingv1ac.NetworkPolicyPeer().
			WithIPBlock(networkingv1ac.IPBlock().WithCIDR(cidr)))
	}
	return peers
}

// egress opens port 53 to everywhere, since a node-local resolver has no pod to select, and
// the ports of each upstream and its token endpoint: to their address blocks when they are given,
// as a policy cannot name a host.
func egress(relay *v1alpha1.MailRelay) []*egressRule {
	rules := []*egressRule{
		networkingv1ac.NetworkPolicyEgressRule().WithPorts(port(53, corev1.ProtocolUDP), tcp(53)),
	}
	for i := range relay.Spec.Upstreams {
		upstream := &relay.Spec.Upstreams[i]
		rules = append(rules, egressTo(UpstreamPort(upstream), upstream.CIDRs)...)
		if upstream.Auth != nil && upstream.Auth.OAuth2 != nil {
			rules = append(rules, egressTo(TokenPort(upstream.Auth.OAuth2), upstream.Auth.OAuth2.CIDRs)...)
		}
	}
	return rules
}

// egressTo opens a port; none for a port that is not known, as without a port all would be open.
func egressTo(number int32, cidrs []string) []*egressRule {
	if number == 0 {
		return nil
	}
	return []*egressRule{networkingv1ac.NetworkPolicyEgressRule().WithPorts(tcp(number)).WithTo(blocks(cidrs)...)}
}

func tcp(number int32) *policyPort { return port(number, corev1.ProtocolTCP) }

func port(number int32, protocol corev1.Protocol) *policyPort {
	return networkingv1ac.NetworkPolicyPort().WithPort(intstr.FromInt32(number)).WithProtocol(protocol)
}

func labelSelector(selector *v1alpha1.LabelSelector) *metav1ac.LabelSelectorApplyConfiguration {
	out := metav1ac.LabelSelector().WithMatchLabels(selector.MatchLabels)
	for _, r := range selector.MatchExpressions {
		out.WithMatchExpressions(metav1ac.LabelSelectorRequirement().
			WithKey(r.Key).WithOperator(r.Operator).WithValues(r.Values...))
	}
	return out
}
