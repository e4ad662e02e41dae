//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

func TestDeletedRelayWithAnEmptyQueueLeavesNothing(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "deletion")
	s.upstreamSecrets(t, p)
	// Every namespace gets these by itself, a moment later.
	waitFor(t, 30*time.Second, "the default service account and the cluster's CA", func(ctx context.Context) (bool, string) {
		found, err := s.inventory(ctx)
		return found["ServiceAccount default"] != "" && found["ConfigMap kube-root-ca.crt"] != "", fmt.Sprint(err)
	})
	before, err := s.inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	relay := newRelay(p)
	s.create(t, relay)
	s.waitReady(t)
	s.keep(s.namespace)
	if err := s.Delete(t.Context(), relay); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 3*time.Minute, "all children to be gone", func(ctx context.Context) (bool, string) {
		after, err := s.inventory(ctx)
		maps.DeleteFunc(after, func(name, _ string) bool { return before[name] != "" })
		return err == nil && len(after) == 0, fmt.Sprint(slices.Sorted(maps.Keys(after)), err)
	})
}

func TestDeletionWaitsForQueuedMail(t *testing.T) {
	t.Parallel()
	s := newSite(t, "drain")
	p := newProvider(t, newSite(t, "gone"))
	relay := newRelay(p)
	s.startRelay(t, p, relay)
	a := s.startApp(t, defaultUser)
	p.scale(t, 0)
	subject := s.namespace + " before the end"
	a.python(t, sendOne, "implicit", sender, recipient, subject)
	s.keep(s.namespace)
	if err := s.Delete(t.Context(), relay); err != nil {
		t.Fatal(err)
	}
	s.waitCondition(t, relayName, relay, v1alpha1.ConditionReady, metav1.ConditionFalse, "QueueNotEmpty")
	p.scale(t, 1)
	p.waitForMail(t, time.Minute, s.namespace, []string{subject})
	waitFor(t, 2*time.Minute, "the relay to be gone", func(ctx context.Context) (bool, string) {
		found, err := s.inventory(ctx)
		return err == nil && found["MailRelay "+relayName] == "", fmt.Sprint(found, err)
	})
}

func TestNothingIsWrittenInSteadyState(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "steady")
	s.startRelay(t, p, newRelay(p))
	s.waitCondition(t, relayName, &v1alpha1.MailRelay{}, v1alpha1.ConditionReconciling, metav1.ConditionFalse, "")
	// What other controllers still write down after the relay is ready.
	time.Sleep(10 * time.Second)
	before, err := s.inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Longer than the minute in which the status may be written once.
	time.Sleep(75 * time.Second)
	after, err := s.inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, version := range after {
		if before[name] != version {
			t.Errorf("%s was written although nothing changed", name)
		}
	}
	if len(after) != len(before) {
		t.Errorf("objects: %d, then %d", len(before), len(after))
	}
}

func TestUpstreamsAndUsersNeverTouchTheWorkload(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "changes")
	relay := newRelay(p)
	s.startRelay(t, p, relay)
	var workload appsv1.StatefulSet
	s.get(t, relayName, &workload)
	generation, pod := workload.Generation, s.pod(t, relayPod)

	s.change(t, relayName, relay, func() {
		relay.Spec.Upstreams = append(relay.Spec.Upstreams, p.upstream("second"))
	})
	s.create(t, &v1alpha1.RelayUser{
		ObjectMeta: metav1.ObjectMeta{Name: "second"},
		Spec:       v1alpha1.RelayUserSpec{RelayRef: v1alpha1.RelayReference{Name: relayName}},
	})
	s.waitCondition(t, "second", &v1alpha1.RelayUser{}, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
	s.waitReady(t)
	subject := s.namespace + " from the second user"
	s.startApp(t, "second").python(t, sendOne, "implicit", sender, recipient, subject)
	p.waitForMail(t, 30*time.Second, s.namespace, []string{subject})

	s.get(t, relayName, &workload)
	if workload.Generation != generation {
		t.Errorf("the StatefulSet's generation went from %d to %d", generation, workload.Generation)
	}
	s.mustBeSame(t, pod)
}
