package resources

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

func testPolicy(t *testing.T, relay *v1alpha1.MailRelay) networkingv1.NetworkPolicySpec {
	t.Helper()
	return render[networkingv1.NetworkPolicy](t, NetworkPolicy(relay, "operator")).Spec
}

// peersOf tells who may connect to a port, in words; "all" when everybody may.
func peersOf(spec networkingv1.NetworkPolicySpec, port int) []string {
	var peers []string
	for _, rule := range spec.Ingress {
		if !slices.ContainsFunc(rule.Ports, func(p networkingv1.NetworkPolicyPort) bool { return p.Port.IntValue() == port }) {
			continue
		}
		if len(rule.From) == 0 {
			peers = append(peers, "all")
		}
		for _, from := range rule.From {
			peers = append(peers, words(from))
		}
	}
	return peers
}

func words(peer networkingv1.NetworkPolicyPeer) string {
	if peer.IPBlock != nil {
		return peer.IPBlock.CIDR
	}
	var parts []string
	if peer.NamespaceSelector != nil {
		parts = append(parts, "namespaces "+metav1.FormatLabelSelector(peer.NamespaceSelector))
	}
	if peer.PodSelector != nil {
		parts = append(parts, "pods "+metav1.FormatLabelSelector(peer.PodSelector))
	}
	return strings.Join(parts, ", ")
}

func TestNetworkPolicyIngress(t *testing.T) {
	t.Parallel()
	label := func(k string) *v1alpha1.LabelSelector {
		return &v1alpha1.LabelSelector{MatchLabels: map[string]string{k: "yes"}}
	}
	for _, tc := range []struct {
		name  string
		rules []v1alpha1.AccessRule
		want  []string
	}{
		{"without access the own pods", nil, []string{"pods <none>"}},
		{"a rule without namespaces", []v1alpha1.AccessRule{{}}, []string{"pods <none>"}},
		{"own pods by label", []v1alpha1.AccessRule{{PodSelector: label("web")}}, []string{"pods web=yes"}},
		{"namespaces by name", []v1alpha1.AccessRule{{Namespaces: &v1alpha1.NamespaceRule{Names: []string{"a", "b"}}}},
			[]string{"namespaces kubernetes.io/metadata.name in (a,b)"}},
		{"namespaces by name and by label", []v1alpha1.AccessRule{{PodSelector: label("web"), Namespaces: &v1alpha1.NamespaceRule{Names: []string{"a"}, Selector: label("mail")}}},
			[]string{"namespaces kubernetes.io/metadata.name in (a), pods web=yes", "namespaces mail=yes, pods web=yes"}},
		{"all namespaces", []v1alpha1.AccessRule{{Namespaces: &v1alpha1.NamespaceRule{Selector: &v1alpha1.LabelSelector{}}}}, []string{"namespaces <none>"}},
		{"no namespace at all", []v1alpha1.AccessRule{{Namespaces: &v1alpha1.NamespaceRule{Names: []string{}}}}, nil},
		{"blocks besides", []v1alpha1.AccessRule{{CIDRs: []string{"192.0.2.0/24"}}}, []string{"pods <none>", "192.0.2.0/24"}},
	} {
		relay := testRelay()
		if tc.rules != nil {
			relay.Spec.Access = &v1alpha1.Access{Rules: tc.rules}
		}
		spec := testPolicy(t, relay)
		for _, port := range []int{465, 587} {
			if got := peersOf(spec, port); !slices.Equal(got, tc.want) {
				t.Errorf("%s: port %d is open to %q, want %q", tc.name, port, got, tc.want)
			}
		}
		if got, want := peersOf(spec, 8443), []string{"namespaces kubernetes.io/metadata.name in (operator), pods app.kubernetes.io/name=mailrelay-operator"}; !slices.Equal(got, want) {
			t.Errorf("%s: the status port is open to %q, want %q", tc.name, got, want)
		}
		if got := peersOf(spec, 9090); len(got) != 0 {
			t.Errorf("%s: the metrics port is open to %q", tc.name, got)
		}
	}
}

func TestNetworkPolicyOfOtherSettings(t *testing.T) {
	t.Parallel()
	relay := testRelay()
	off := false
	relay.Spec.Listeners.Submission.Enabled = &off
	relay.Spec.NetworkPolicy.MetricsFrom = &v1alpha1.LabelSelector{MatchLabels: map[string]string{"monitoring": "yes"}}
	relay.Spec.Service = v1alpha1.RelayService{Type: "LoadBalancer", LoadBalancerSourceRanges: []string{"198.51.100.0/24"}}
	spec := testPolicy(t, relay)
	for port, want := range map[int][]string{
		465: {"pods <none>", "198.51.100.0/24"}, 587: nil, 9090: {"namespaces monitoring=yes"}, 8080: {"all"},
	} {
		if got := peersOf(spec, port); !slices.Equal(got, want) {
			t.Errorf("port %d is open to %q, want %q", port, got, want)
		}
	}
	if len(spec.PolicyTypes) != 2 {
		t.Errorf("policy types = %v: what is not listed is open", spec.PolicyTypes)
	}
}

func TestNetworkPolicyEgress(t *testing.T) {
	t.Parallel()
	relay := testRelay()
	oauth2 := func(tokenURL string, cidrs ...string) *v1alpha1.UpstreamAuth {
		return &v1alpha1.UpstreamAuth{OAuth2: &v1alpha1.UpstreamOAuth2{TokenURL: tokenURL, CIDRs: cidrs}}
	}
	relay.Spec.Upstreams = append(relay.Spec.Upstreams,
		v1alpha1.Upstream{Name: "b", Host: "b.example", Port: 465, CIDRs: []string{"192.0.2.1/32"}},
		v1alpha1.Upstream{Name: "c", Provider: "gmail", Auth: oauth2("https://oauth2.googleapis.com/token")},
		v1alpha1.Upstream{Name: "d", Provider: "microsoft-365", Auth: oauth2("https://login.example:8443/token", "2001:db8::/32")},
		v1alpha1.Upstream{Name: "e", Provider: "gmail", TLS: "None"}) // Not a valid one: what cannot be known opens nothing
	var got []string
	for _, rule := range testPolicy(t, relay).Egress {
		var ports, to []string
		for _, p := range rule.Ports {
			ports = append(ports, fmt.Sprintf("%s %d", *p.Protocol, p.Port.IntValue()))
		}
		for _, p := range rule.To {
			to = append(to, words(p))
		}
		got = append(got, fmt.Sprintf("%v to %v", ports, to))
	}
	want := []string{
		"[UDP 53 TCP 53] to []", "[TCP 587] to []", "[TCP 465] to [192.0.2.1/32]",
		"[TCP 465] to []", "[TCP 443] to []", "[TCP 587] to []", "[TCP 8443] to [2001:db8::/32]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("egress is %q, want %q", got, want)
	}
}

func TestServices(t *testing.T) {
	t.Parallel()
	relay := testRelay()
	off := false
	relay.Spec.Listeners.Submissions.Enabled = &off
	relay.Spec.Service = v1alpha1.RelayService{Type: "LoadBalancer", LoadBalancerSourceRanges: []string{"198.51.100.0/24"}, Annotations: map[string]string{"a": "b"}}
	service := render[corev1.Service](t, Service(relay))
	if service.Spec.Type != "LoadBalancer" || len(service.Spec.LoadBalancerSourceRanges) != 1 || service.Annotations["a"] != "b" ||
		len(service.Spec.Ports) != 1 || service.Spec.Ports[0].Port != 587 {
		t.Errorf("service = %+v", service)
	}
	pods := render[corev1.Service](t, PodsService(relay))
	if pods.Spec.ClusterIP != corev1.ClusterIPNone || !pods.Spec.PublishNotReadyAddresses {
		t.Errorf("headless service = %+v", pods.Spec)
	}
	if got := Endpoints(relay); len(got) != 1 || got[0] != (v1alpha1.Endpoint{Host: "relay.mail.svc", Port: 587, TLS: "StartTLS"}) {
		t.Errorf("endpoints = %+v", got)
	}
}

func TestDisruptionBudgetLetsBrokenPodsGo(t *testing.T) {
	t.Parallel()
	budget := render[policyv1.PodDisruptionBudget](t, PodDisruptionBudget(testRelay()))
	if budget.Spec.MaxUnavailable.IntValue() != 1 || *budget.Spec.UnhealthyPodEvictionPolicy != policyv1.AlwaysAllow {
		t.Errorf("budget = %+v", budget.Spec)
	}
	account := render[corev1.ServiceAccount](t, ServiceAccount(testRelay()))
	if *account.AutomountServiceAccountToken {
		t.Error("the service account mounts a token")
	}
}
