//go:build e2e

package e2e

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

func TestPodsThatNoNodeTakesAreNamedAndStartOnceSpecIsMended(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "scheduling")
	s.upstreamSecrets(t, p)
	relay := newRelay(p)
	relay.Spec.Scheduling.NodeSelector = map[string]string{"mailrelay.dev/e2e": "nowhere"}
	s.create(t, relay)
	c := s.waitCondition(t, relayName, relay, v1alpha1.ConditionReady, metav1.ConditionFalse, "PodsUnschedulable")
	for _, want := range []string{relayPod, "node affinity/selector", "change spec.scheduling"} {
		if !strings.Contains(c.Message, want) {
			t.Errorf("the condition does not say %q: %s", want, c.Message)
		}
	}
	s.change(t, relayName, relay, func() { relay.Spec.Scheduling.NodeSelector = nil })
	s.waitReady(t)
}
