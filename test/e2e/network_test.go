//go:build e2e

package e2e

import (
	"context"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// waitReach waits until connections from the app have the outcome "open" or "dropped", each
// of them: a policy takes effect a moment after a pod starts.
func (a *app) waitReach(t *testing.T, host, port, want string) {
	t.Helper()
	waitFor(t, 30*time.Second, net.JoinHostPort(host, port)+" to be "+want, func(ctx context.Context) (bool, string) {
		out, err := a.run(ctx, "", "python3", "-c", reach, host, port)
		got := strings.TrimSpace(out)
		if err != nil {
			return false, err.Error() + " " + got
		}
		return got == want, got
	})
}

func TestOnlyPodsThatAreLetInConnect(t *testing.T) {
	t.Parallel()
	p, s, outside := commonProvider(t), newSite(t, "inside"), newSite(t, "outside")
	relay := newRelay(p)
	s.startRelay(t, p, relay)
	inside, outsider := s.startApp(t, ""), outside.startApp(t, "")
	// The outsider's network works; what it cannot reach is closed to it.
	outsider.waitReach(t, p.host(), "1465", "open")
	host := resources.Host(relay)
	for _, port := range []string{"465", "587"} {
		inside.waitReach(t, host, port, "open")
		outsider.waitReach(t, host, port, "dropped")
	}
	// The status port is the operator's alone.
	inside.waitReach(t, s.pod(t, relayPod).Status.PodIP, "8443", "dropped")
}

func TestRelayReachesNothingButNamesAndItsUpstream(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "egress")
	relay := newRelay(p)
	s.startRelay(t, p, relay)
	twin, free := s.startPod(t, s.twin(relay)), newSite(t, "free").startApp(t, "")
	for _, other := range []struct{ host, port string }{
		{p.host(), "8025"},
		{"kubernetes.default.svc", "443"},
		// The upstream's other port, which this relay is not configured to use.
		{p.host(), "1587"},
	} {
		free.waitReach(t, other.host, other.port, "open")
		twin.waitReach(t, other.host, other.port, "dropped")
	}
	twin.waitReach(t, p.host(), "1465", "open")

	s.change(t, relayName, relay, func() { relay.Spec.Upstreams[0].CIDRs = []string{"192.0.2.0/24"} })
	twin.waitReach(t, p.host(), "1465", "dropped")
	s.change(t, relayName, relay, func() { relay.Spec.Upstreams[0].CIDRs = []string{p.podIP(t) + "/32"} })
	twin.waitReach(t, p.host(), "1465", "open")
}

// twin is a pod under the same policy as the relay's, with tools in it. It is never ready,
// so that the relay's Service sends no mail there.
func (s *site) twin(relay *v1alpha1.MailRelay) *corev1.Pod {
	pod := s.appPod("twin")
	pod.Labels = maps.Clone(resources.PodSelector(relay))
	pod.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
		Exec: &corev1.ExecAction{Command: []string{"false"}},
	}}
	return pod
}
