package policy

import (
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// everywhere is the whole of IPv4.
var everywhere = Range{From: netip.IPv4Unspecified(), To: netip.AddrFrom4([4]byte{255, 255, 255, 255})}

// compiler is State, indexed for questions about peers.
type compiler struct {
	endpoints  []endpoint
	namespaces map[string]labels.Set
}

// Compile returns the model that enforces state.
func Compile(state State) Model {
	c := compiler{endpoints: endpoints(state.Pods), namespaces: namespaceLabels(state.Namespaces)}
	model := Model{Ingress: map[netip.Addr][]Allow{}, Egress: map[netip.Addr][]Allow{}}
	policies := slices.SortedFunc(slices.Values(state.Policies), byName)
	for _, e := range c.endpoints {
		for _, p := range policies {
			if p.Namespace != e.pod.Namespace || !matches(&p.Spec.PodSelector, e.pod.Labels) {
				continue
			}
			if applies(p, networkingv1.PolicyTypeIngress) {
				model.Ingress[e.addr] = append(model.Ingress[e.addr], c.ingress(p, e)...)
			}
			if applies(p, networkingv1.PolicyTypeEgress) {
				model.Egress[e.addr] = append(model.Egress[e.addr], c.egress(p)...)
			}
		}
	}
	return model
}

// byName gives policies a fixed order, so that the same state always compiles
// to the same model.
func byName(a, b *networkingv1.NetworkPolicy) int {
	return slices.Compare([]string{a.Namespace, a.Name}, []string{b.Namespace, b.Name})
}

// applies tells whether p isolates its pods in direction. The API server fills
// policyTypes in; the default is here for policies that come from elsewhere.
func applies(p *networkingv1.NetworkPolicy, direction networkingv1.PolicyType) bool {
	if len(p.Spec.PolicyTypes) > 0 {
		return slices.Contains(p.Spec.PolicyTypes, direction)
	}
	return direction == networkingv1.PolicyTypeIngress || len(p.Spec.Egress) > 0
}

// ingress returns what p lets in to target, whose own ports named ports mean.
func (c compiler) ingress(p *networkingv1.NetworkPolicy, target endpoint) []Allow {
	var allows []Allow
	for _, rule := range p.Spec.Ingress {
		peers, reachable := c.peers(p.Namespace, rule.From)
		ports, open := ingressPorts(rule.Ports, target)
		if reachable && open {
			allows = append(allows, Allow{Peers: peers, Ports: ports})
		}
	}
	return allows
}

// ingressPorts returns false when ports are given but target has none of them.
func ingressPorts(ports []networkingv1.NetworkPolicyPort, target endpoint) ([]PortRange, bool) {
	var spans []PortRange
	for _, port := range ports {
		if !isNamed(port) {
			spans = append(spans, numericPort(port))
		} else if span, found := namedPort(target.pod, port); found {
			spans = append(spans, span)
		}
	}
	return spans, len(ports) == 0 || len(spans) > 0
}

// egress returns what p lets out. A named port means another number for each
// destination, so each such pair gets an Allow of its own.
func (c compiler) egress(p *networkingv1.NetworkPolicy) []Allow {
	var allows []Allow
	for _, rule := range p.Spec.Egress {
		peers, reachable := c.peers(p.Namespace, rule.To)
		if !reachable {
			continue
		}
		var numeric []PortRange
		for _, port := range rule.Ports {
			if isNamed(port) {
				allows = append(allows, c.namedEgress(p.Namespace, rule.To, port)...)
			} else {
				numeric = append(numeric, numericPort(port))
			}
		}
		if len(rule.Ports) == 0 || len(numeric) > 0 {
			allows = append(allows, Allow{Peers: peers, Ports: numeric})
		}
	}
	return allows
}

// namedEgress allows port on the selected pods that declare it. Addresses of an
// ipBlock declare no names.
func (c compiler) namedEgress(namespace string, to []networkingv1.NetworkPolicyPeer, port networkingv1.NetworkPolicyPort) []Allow {
	byPort := map[PortRange][]Range{}
	for _, e := range c.endpoints {
		span, found := namedPort(e.pod, port)
		if found && (len(to) == 0 || c.selectedByAny(namespace, to, e)) {
			byPort[span] = append(byPort[span], Range{From: e.addr, To: e.addr})
		}
	}
	var allows []Allow
	for span, peers := range byPort {
		allows = append(allows, Allow{Peers: merge(peers), Ports: []PortRange{span}})
	}
	slices.SortFunc(allows, func(a, b Allow) int { return int(a.Ports[0].From) - int(b.Ports[0].From) })
	return allows
}

// peers returns the addresses that list stands for, nil meaning everyone, and
// false when the list selects nobody.
func (c compiler) peers(namespace string, list []networkingv1.NetworkPolicyPeer) ([]Range, bool) {
	if len(list) == 0 {
		return nil, true
	}
	var ranges []Range
	for _, peer := range list {
		if peer.IPBlock != nil {
			ranges = append(ranges, blockRanges(peer.IPBlock)...)
		}
	}
	for _, e := range c.endpoints {
		if c.selectedByAny(namespace, list, e) {
			ranges = append(ranges, Range{From: e.addr, To: e.addr})
		}
	}
	ranges = merge(ranges)
	if slices.Equal(ranges, []Range{everywhere}) {
		return nil, true
	}
	return ranges, len(ranges) > 0
}

// selectedByAny tells whether one of the peers selects e by its labels or those
// of its namespace.
func (c compiler) selectedByAny(namespace string, peers []networkingv1.NetworkPolicyPeer, e endpoint) bool {
	return slices.ContainsFunc(peers, func(peer networkingv1.NetworkPolicyPeer) bool {
		if peer.IPBlock != nil {
			return false
		}
		inNamespace := e.pod.Namespace == namespace
		if peer.NamespaceSelector != nil {
			set, known := c.namespaces[e.pod.Namespace]
			inNamespace = known && matches(peer.NamespaceSelector, set)
		}
		return inNamespace && (peer.PodSelector == nil || matches(peer.PodSelector, e.pod.Labels))
	})
}
