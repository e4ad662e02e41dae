package readiness

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// networkRestricted is true when a NetworkPolicy closes all that the relay does not need.
var networkRestricted = condition[*Facts]{
	name: v1alpha1.ConditionNetworkRestricted,
	predicates: []predicate[*Facts]{
		networkPolicyIsWanted,
		networkPolicyIsApplied,
	},
	holds: func(f *Facts) finding {
		if open := openPorts(f.Relay.Spec.Upstreams); len(open) > 0 {
			return finding{reason: "UpstreamPortsOpen", message: fmt.Sprintf(
				"a NetworkPolicy is in place; out, port %s is open to every address: set cidrs of the upstream, or of its oauth2, to narrow it", strings.Join(open, ", "))}
		}
		return finding{reason: "PolicyApplied", message: "a NetworkPolicy closes all but mail"}
	},
}

// openPorts are those that are open to every address, each once, sorted.
func openPorts(upstreams []v1alpha1.Upstream) []string {
	var open []int32
	for i := range upstreams {
		u := &upstreams[i]
		if len(u.CIDRs) == 0 {
			open = append(open, resources.UpstreamPort(u))
		}
		if u.Auth != nil && u.Auth.OAuth2 != nil && len(u.Auth.OAuth2.CIDRs) == 0 {
			open = append(open, resources.TokenPort(u.Auth.OAuth2))
		}
	}
	slices.Sort(open)
	var names []string
	for _, port := range slices.Compact(open) {
		names = append(names, fmt.Sprint(port))
	}
	return names
}

func networkPolicyIsWanted(f *Facts) *finding {
	if resources.NetworkPolicyEnabled(f.Relay) {
		return nil
	}
	return &finding{reason: "PolicyDisabled", message: "spec.networkPolicy.enabled is false: every pod can connect to the relay; set it to true unless something else restricts the network"}
}

func networkPolicyIsApplied(f *Facts) *finding {
	if f.PolicyApplied {
		return nil
	}
	return &finding{reason: "PolicyMissing", message: "the NetworkPolicy is not in place yet: see the condition Stalled"}
}

// sendersRestricted warns of users that may send as anybody. Mail does not depend on it.
var sendersRestricted = condition[*Facts]{
	name:       v1alpha1.ConditionSendersRestricted,
	predicates: []predicate[*Facts]{nobodyMaySendAsAnybody},
	holds:      always[*Facts]("SendersNamed", "users send only as the addresses and domains they are granted"),
}

func nobodyMaySendAsAnybody(f *Facts) *finding {
	if len(f.AnySender) == 0 {
		return nil
	}
	const show = 5
	users := f.AnySender
	more := ""
	if len(users) > show {
		more = fmt.Sprintf(" and %d more", len(users)-show)
		users = users[:show]
	}
	return &finding{reason: "AnySender", message: fmt.Sprintf(
		"%s%s may send as anybody: set message.senderDomains, or senders in the access rules", strings.Join(users, ", "), more)}
}
