package table

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/netpol/policy"
)

const (
	tableName = "netpol_test"
	serviceIP = "10.96.0.10"
)

// addresses of the pods web and db in namespace a, guest in namespace b, and of
// a machine outside the cluster.
var addresses = map[string]string{
	"web": "10.88.1.2", "db": "10.88.2.2", "guest": "10.88.3.2", "outside": "192.0.2.2",
	"router": "10.88.1.1", "service": serviceIP,
}

func cluster(policies ...*networkingv1.NetworkPolicy) policy.State {
	ports := []corev1.ContainerPort{{Name: "http", ContainerPort: 80}, {Name: "dns", ContainerPort: 81, Protocol: corev1.ProtocolUDP}}
	pod := func(namespace, name string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": name}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Ports: ports}}},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: addresses[name]},
		}
	}
	namespace := func(name string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"team": name}}}
	}
	return policy.State{
		Policies:   policies,
		Pods:       []*corev1.Pod{pod("a", "web"), pod("a", "db"), pod("b", "guest")},
		Namespaces: []*corev1.Namespace{namespace("a"), namespace("b")},
	}
}

// rules reads the specs of policies in namespace a from YAML, one a line.
func rules(t *testing.T, specs string) policy.State {
	t.Helper()
	var policies []*networkingv1.NetworkPolicy
	for i, line := range strings.Split(strings.TrimSpace(specs), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: fmt.Sprint("p", i)}}
		if err := yaml.UnmarshalStrict([]byte(line), &p.Spec); err != nil {
			t.Fatalf("policy %q: %v", line, err)
		}
		policies = append(policies, p)
	}
	return cluster(policies...)
}

// setup makes the network with servers on ports 80 to 82 everywhere, and a
// Service address that the router translates to db, hiding db from itself as
// kube-proxy does.
func setup(t *testing.T) (network, Table) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make network namespaces; run the test as root")
	}
	hosts := map[string]string{}
	for _, name := range []string{"web", "db", "guest", "outside"} {
		hosts[name] = addresses[name]
	}
	n := newNetwork(t, hosts)
	for port := 80; port <= 82; port++ {
		n.router.serve(t, port)
		for _, host := range n.hosts {
			host.serve(t, port)
		}
	}
	n.hosts["router"] = n.router
	nft(t, n.router, `
		add table ip nat
		add chain ip nat prerouting { type nat hook prerouting priority dstnat; }
		add rule ip nat prerouting ip daddr `+serviceIP+` meta l4proto { tcp, udp } dnat to `+addresses["db"]+`
		add chain ip nat postrouting { type nat hook postrouting priority srcnat; }
		add rule ip nat postrouting ip saddr `+addresses["db"]+` ip daddr `+addresses["db"]+` masquerade
	`)
	return n, Table{Name: tableName, Namespace: n.router.fd()}
}

// nft runs a script of the nft tool in a namespace and returns what it prints.
func nft(t *testing.T, in netns, script string) string {
	t.Helper()
	var output []byte
	err := in.do(func() (err error) {
		cmd := exec.Command("nft", "-f", "-")
		cmd.Stdin = strings.NewReader(script)
		output, err = cmd.CombinedOutput()
		return err
	})
	if err != nil {
		t.Fatalf("nft: %v\n%s", err, output)
	}
	return string(output)
}

func apply(t *testing.T, table Table, state policy.State) {
	t.Helper()
	if err := table.Apply(policy.Compile(state)); err != nil {
		t.Fatal(err)
	}
}

// expect probes lines such as "guest db:80 web:81/udp": who, and whom it should
// reach; all other targets of the probe must be unreachable.
func expect(t *testing.T, n network, targets, lines string) {
	t.Helper()
	var probes sync.WaitGroup
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		fields := strings.Fields(line)
		for _, target := range strings.Fields(targets) {
			want := strings.Contains(line+" ", " "+target+" ")
			probes.Go(func() {
				if got := probe(n, fields[0], target); got != want {
					t.Errorf("%s reaches %s: %v, want %v", fields[0], target, got, want)
				}
			})
		}
	}
	probes.Wait()
}

func probe(n network, from, target string) bool {
	endpoint, protocol, udp := strings.Cut(target, "/")
	if !udp {
		protocol = "tcp"
	}
	name, port, _ := strings.Cut(endpoint, ":")
	return n.hosts[from].reaches(protocol, addresses[name]+":"+port)
}

func TestTrafficObeysPolicies(t *testing.T) {
	n, table := setup(t)
	for _, tc := range []struct{ name, policies, targets, reaches string }{
		{
			"nothing is isolated without policies", "",
			"db:80 db:81/udp service:80 outside:80 router:80",
			"web db:80 db:81/udp service:80 outside:80 router:80\nguest db:80 db:81/udp service:80 outside:80 router:80",
		}, {
			"default deny of ingress spares node and self", `{podSelector: {}}`,
			"db:80 db:81/udp service:80 guest:80",
			"web guest:80\nguest guest:80\noutside guest:80\nrouter db:80 db:81/udp guest:80\ndb db:80 db:81/udp service:80 guest:80",
		}, {
			"ingress by pod, also through the Service",
			`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}`,
			"db:80 db:82/udp service:80",
			"web db:80 db:82/udp service:80\nguest\noutside",
		}, {
			"ingress by namespace",
			`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: b}}}]}]}`,
			"db:80", "web\nguest db:80\noutside",
		}, {
			"ingress by pod of another namespace",
			`{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: b}}, podSelector: {matchLabels: {app: web}}}]}]}`,
			"db:80", "web\nguest",
		}, {
			"ingress by block with exception",
			`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 10.88.0.0/16, except: [10.88.3.0/24]}}]}]}`,
			"db:80", "web db:80\nguest\noutside",
		}, {
			"ingress by port number, name, span and protocol",
			`{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: http}, {port: dns, protocol: UDP}]}]}
			 {podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 81, endPort: 82}, {protocol: UDP}]}]}`,
			"db:80 db:81 db:80/udp db:81/udp web:80 web:81 web:82 web:80/udp",
			"guest db:80 db:81/udp web:81 web:82 web:80/udp",
		}, {
			"egress by pod and port, the rest of the world closed",
			`{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 80}, {port: 82, protocol: UDP}]}]}`,
			"db:80 db:81 db:82/udp service:80 service:81 guest:80 outside:80 router:80 web:80",
			"web db:80 db:82/udp service:80 web:80\nguest db:80 db:81 db:82/udp service:80 service:81 guest:80 outside:80 router:80 web:80",
		}, {
			"egress by namespace and named port",
			`{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {team: b}}}], ports: [{port: http}]}]}`,
			"db:80 guest:80 guest:81", "web guest:80",
		}, {
			"egress by block with exception, the node's own address included",
			`{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.88.2.0/24, 192.0.2.0/24]}}]}]}`,
			"db:80 service:80 guest:80 outside:80 router:80", "web guest:80 router:80",
		}, {
			"both ends must agree",
			`{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{ports: [{port: 80}, {port: 81}]}]}
			 {podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress], ingress: [{ports: [{port: 81}, {port: 82}]}]}`,
			"db:80 db:81 db:82", "web db:81\nguest db:81 db:82",
		}, {
			"policies add up",
			`{podSelector: {}, policyTypes: [Ingress, Egress]}
			 {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {}}]}]}
			 {podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]}`,
			"db:80 web:80 guest:80", "web db:80 web:80\ndb db:80\nguest guest:80",
		}, {
			"all heals when the policies are gone", "",
			"db:80 db:81/udp service:80 outside:80 router:80",
			"web db:80 db:81/udp service:80 outside:80 router:80",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			apply(t, table, rules(t, tc.policies))
			expect(t, n, tc.targets, tc.reaches)
		})
	}
}

func TestOpenConnectionsOutliveANewPolicy(t *testing.T) {
	n, table := setup(t)
	apply(t, table, cluster())
	conn, err := n.hosts["web"].dial("tcp", addresses["db"]+":80")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if !answers(conn) {
		t.Fatal("no answer before the policy")
	}
	apply(t, table, rules(t, `{podSelector: {}}`))
	if !answers(conn) {
		t.Error("the open connection was cut")
	}
	expect(t, n, "db:80", "web")
}

func TestReplacingRulesLeavesNoGap(t *testing.T) {
	n, table := setup(t)
	closed := rules(t, `{podSelector: {}}`)
	alike := rules(t, `{podSelector: {}}
		{podSelector: {}, policyTypes: [Egress], egress: [{}]}`)
	apply(t, table, closed)
	stop := make(chan struct{})
	leaked := make(chan bool)
	go func() {
		leak := false
		for {
			select {
			case <-stop:
				leaked <- leak
				return
			default:
				// A packet a round, without waiting for an answer that must not come.
				leak = leak || n.hosts["guest"].sent("udp", addresses["db"]+":80")
			}
		}
	}()
	for range 100 {
		apply(t, table, alike)
		apply(t, table, closed)
	}
	close(stop)
	if <-leaked {
		t.Error("a packet got through while rules were replaced")
	}
}

func TestLargeModelFitsOneTransaction(t *testing.T) {
	_, table := setup(t)
	model := policy.Model{Ingress: map[netip.Addr][]policy.Allow{}}
	addr := netip.MustParseAddr("10.88.0.1")
	for range 500 {
		allow := policy.Allow{
			Peers: []policy.Range{{From: addr, To: addr}},
			Ports: []policy.PortRange{{Protocol: corev1.ProtocolTCP, From: 465, To: 465}, {Protocol: corev1.ProtocolTCP, From: 587, To: 587}},
		}
		model.Ingress[addr] = []policy.Allow{allow, allow, allow}
		addr = addr.Next()
	}
	if err := table.Apply(model); err != nil {
		t.Fatal(err)
	}
}

func TestRemoveDeletesOnlyOurTable(t *testing.T) {
	n, table := setup(t)
	apply(t, table, rules(t, `{podSelector: {}}`))
	for range 2 {
		if err := table.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	if listed := nft(t, n.router, "list tables"); strings.TrimSpace(listed) != "table ip nat" {
		t.Errorf("tables left:\n%s", listed)
	}
	expect(t, n, "db:80", "guest db:80")
}
