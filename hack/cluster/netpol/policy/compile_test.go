package policy

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

func pod(namespace, name, ip string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func port(name string, number int32, protocol corev1.Protocol) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		ports := &p.Spec.Containers[0].Ports
		*ports = append(*ports, corev1.ContainerPort{Name: name, ContainerPort: number, Protocol: protocol})
	}
}

func phase(phase corev1.PodPhase) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status.Phase = phase }
}

func hostNetwork(p *corev1.Pod) { p.Spec.HostNetwork = true }

func sidecar(name string, number int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: name, ContainerPort: number}}}}
	}
}

// sample is a cluster of two namespaces; policies live in a.
func sample(t *testing.T, policies ...string) State {
	t.Helper()
	s := State{
		Pods: []*corev1.Pod{
			pod("a", "web", "10.0.0.1", port("http", 8080, ""), port("dns", 53, corev1.ProtocolUDP)),
			pod("a", "db", "10.0.0.2", port("http", 9090, corev1.ProtocolTCP), sidecar("proxy", 15001)),
			pod("b", "web", "10.0.0.3", port("http", 8080, "")),
			pod("c", "web", "10.0.0.4"),
			pod("a", "finished", "10.0.0.5", phase(corev1.PodSucceeded)),
			pod("a", "failed", "10.0.0.6", phase(corev1.PodFailed)),
			pod("a", "agent", "10.0.0.7", hostNetwork),
			pod("a", "unborn", "", phase(corev1.PodPending)),
			pod("a", "modern", "fd00::1"),
		},
		// Namespace c is not known yet: its pod came first.
		Namespaces: []*corev1.Namespace{
			{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{"team": "blue"}}},
			{ObjectMeta: metav1.ObjectMeta{Name: "b", Labels: map[string]string{"team": "red"}}},
		},
	}
	for i, spec := range policies {
		p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: fmt.Sprint("p", i)}}
		if err := yaml.UnmarshalStrict([]byte(spec), &p.Spec); err != nil {
			t.Fatal(err)
		}
		s.Policies = append(s.Policies, p)
	}
	return s
}

// describe writes a direction as lines such as "10.0.0.1: 10.0.0.2 TCP/80; * *".
func describe(direction map[netip.Addr][]Allow) string {
	var lines []string
	for _, addr := range slices.SortedFunc(maps.Keys(direction), netip.Addr.Compare) {
		var allows []string
		for _, a := range direction[addr] {
			allows = append(allows, describePeers(a.Peers)+" "+describePorts(a.Ports))
		}
		lines = append(lines, strings.TrimSpace(addr.String()+": "+strings.Join(allows, "; ")))
	}
	return strings.Join(lines, "\n")
}

func describePeers(ranges []Range) string {
	if ranges == nil {
		return "*"
	}
	var all []string
	for _, r := range ranges {
		all = append(all, strings.TrimSuffix(r.From.String()+"-"+r.To.String(), "-"+r.From.String()))
	}
	return strings.Join(all, ",")
}

func describePorts(ports []PortRange) string {
	if ports == nil {
		return "*"
	}
	var all []string
	for _, p := range ports {
		all = append(all, strings.TrimSuffix(fmt.Sprintf("%s/%d-%d", p.Protocol, p.From, p.To), fmt.Sprint("-", p.From)))
	}
	return strings.Join(all, ",")
}

func TestCompileIngress(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, spec, want string }{
		{"empty selector isolates every live pod of the namespace", `{podSelector: {}}`, "10.0.0.1:\n10.0.0.2:"},
		{"selector picks pods", `{podSelector: {matchLabels: {app: web}}}`, "10.0.0.1:"},
		{"selector expression", `{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [web]}]}}`, "10.0.0.2:"},
		{"empty rule allows all", `{podSelector: {matchLabels: {app: web}}, ingress: [{}]}`, "10.0.0.1: * *"},
		{"pods of the same namespace only", `{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}`, "10.0.0.2: 10.0.0.1 *"},
		{"namespace", `{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: red}}}]}]}`, "10.0.0.2: 10.0.0.3 *"},
		{"all known namespaces", `{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {}}]}]}`, "10.0.0.2: 10.0.0.1-10.0.0.3 *"},
		{"namespace and pod in one peer", `{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}]}]}`, "10.0.0.2: 10.0.0.1,10.0.0.3 *"},
		{"namespace or pod in two peers", `{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: red}}}, {podSelector: {matchLabels: {app: db}}}]}]}`, "10.0.0.2: 10.0.0.2-10.0.0.3 *"},
		{"peers that select nobody open nothing", `{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: none}}}]}]}`, "10.0.0.2:"},
		{"block with exception and a pod inside it", `{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/29, except: [10.0.0.0/30]}}, {podSelector: {matchLabels: {app: web}}}]}]}`, "10.0.0.2: 10.0.0.1,10.0.0.4-10.0.0.7 *"},
		{"the whole of IPv4 is everyone", `{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}`, "10.0.0.2: * *"},
		{"ports by number, span and protocol", `{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 80}, {port: 90, endPort: 99, protocol: UDP}, {protocol: SCTP}]}]}`, "10.0.0.2: * TCP/80,UDP/90-99,SCTP/0-65535"},
		{"named port is each target's own", `{podSelector: {}, ingress: [{ports: [{port: http}]}]}`, "10.0.0.1: * TCP/8080\n10.0.0.2: * TCP/9090"},
		{"named port of a sidecar", `{podSelector: {}, ingress: [{ports: [{port: proxy}]}]}`, "10.0.0.1:\n10.0.0.2: * TCP/15001"},
		{"named port of another protocol", `{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: dns}]}]}`, "10.0.0.1:"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			model := Compile(sample(t, tc.spec))
			if got := describe(model.Ingress); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
			if len(model.Egress) > 0 {
				t.Errorf("egress is isolated too: %s", describe(model.Egress))
			}
		})
	}
}

func TestCompileEgress(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, spec, want string }{
		{"rules without policyTypes isolate", `{podSelector: {matchLabels: {app: web}}, egress: [{}]}`, "10.0.0.1: * *"},
		{"no rule allows nothing", `{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}`, "10.0.0.1:"},
		{"port to anywhere", `{podSelector: {matchLabels: {app: web}}, egress: [{ports: [{port: 53, protocol: UDP}, {port: 53}]}]}`, "10.0.0.1: * UDP/53,TCP/53"},
		{"port to a namespace", `{podSelector: {matchLabels: {app: web}}, egress: [{to: [{namespaceSelector: {matchLabels: {team: red}}}], ports: [{port: 25}]}]}`, "10.0.0.1: 10.0.0.3 TCP/25"},
		{"nobody selected", `{podSelector: {matchLabels: {app: web}}, egress: [{to: [{podSelector: {matchLabels: {app: none}}}], ports: [{port: 25}]}]}`, "10.0.0.1:"},
		{"named port is each destination's own", `{podSelector: {matchLabels: {app: web}}, egress: [{to: [{namespaceSelector: {}}], ports: [{port: http}]}]}`, "10.0.0.1: 10.0.0.1,10.0.0.3 TCP/8080; 10.0.0.2 TCP/9090"},
		{"named port to anywhere means pods", `{podSelector: {matchLabels: {app: web}}, egress: [{ports: [{port: proxy}, {port: 25}]}]}`, "10.0.0.1: 10.0.0.2 TCP/15001; * TCP/25"},
		{"named port on a block means nothing", `{podSelector: {matchLabels: {app: web}}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: http}]}]}`, "10.0.0.1:"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := describe(Compile(sample(t, tc.spec)).Egress); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

func TestEgressPolicyLeavesIngressOpen(t *testing.T) {
	t.Parallel()
	model := Compile(sample(t, `{podSelector: {}, policyTypes: [Egress]}`))
	if len(model.Ingress) > 0 || len(model.Egress) != 2 {
		t.Errorf("ingress of %v and egress of %v are isolated", model.Ingress, model.Egress)
	}
}

func TestPoliciesAddUpInAnyOrder(t *testing.T) {
	t.Parallel()
	state := sample(t, `{podSelector: {}}`, `{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 1}]}]}`, `{podSelector: {}, ingress: [{ports: [{port: 2}]}]}`)
	model := Compile(state)
	if got, want := describe(model.Ingress), "10.0.0.1: * TCP/2\n10.0.0.2: * TCP/1; * TCP/2"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	slices.Reverse(state.Policies)
	slices.Reverse(state.Pods)
	if again := Compile(state); !reflect.DeepEqual(again, model) {
		t.Errorf("another order compiles to\n%s", describe(again.Ingress))
	}
}
