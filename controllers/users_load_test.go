//go:build load

package controllers

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// TestLoadManyUsers gives one relay 5,000 users of 50 teams, and then one more.
func TestLoadManyUsers(t *testing.T) {
	const teams, each = 50, 100
	crds, err := certManagerCRDs()
	if err != nil {
		t.Fatal(err)
	}
	c, stopOperator := ownCluster(t, crds)
	namespace := c.namespace(t, nil)
	relay, pods := c.readyRelay(t, namespace, func(relay *v1alpha1.MailRelay) {
		relay.Spec.Replicas = ptr(int32(2))
		relay.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{
			{}, {Namespaces: &v1alpha1.NamespaceRule{Selector: &v1alpha1.LabelSelector{MatchLabels: map[string]string{"mail": "yes"}}}},
		}}
	})
	var spaces []string
	for range teams {
		spaces = append(spaces, c.namespace(t, map[string]string{"mail": "yes"}))
	}
	began := time.Now()
	var creating sync.WaitGroup
	for _, space := range spaces {
		creating.Go(func() {
			for i := range each {
				if err := c.Create(t.Context(), newUser(space, fmt.Sprintf("app-%d", i), relay)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	creating.Wait()
	t.Logf("%d RelayUsers created in %v", teams*each, time.Since(began).Round(time.Second))
	c.awaitReadyUsers(t, teams*each+1)
	t.Logf("all are ready %v after the first was created", time.Since(began).Round(time.Second))
	for _, n := range c.awaitPasses(t, relay, pods[0], 3) {
		t.Logf("a pass over the relay settles: %v", n)
	}
	steady := c.awaitPasses(t, relay, pods[0], 20)
	t.Logf("a pass in which nothing changes: median %v, longest %v", steady[len(steady)/2], steady[len(steady)-1])
	c.tellShards(t, relay)
	c.tellMemory(t)

	reads, writes := c.writes.secretsRead(spaces[0]), len(c.writes.in(namespace))
	others := map[string]map[string]int{}
	for _, space := range spaces {
		others[space] = c.writes.secretsRead(space)
	}
	began = time.Now()
	added := newUser(spaces[0], "added", relay)
	c.mustCreate(t, added)
	eventually(t, "the relay knows the user", func() error {
		if c.known(t, relay, "added."+spaces[0]) == nil {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	t.Logf("one user more is in its shard after %v", time.Since(began).Round(time.Millisecond))
	c.awaitCondition(t, added, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	t.Logf("and ready after %v", time.Since(began).Round(time.Millisecond))
	for _, space := range spaces {
		after := c.writes.secretsRead(space)
		delete(after, "added")
		if !maps.Equal(after, others[space]) {
			t.Errorf("Secrets of other users in %s were read for it", space)
		}
	}
	t.Logf("its Secret was read %d times; written in the relay's namespace:\n%s",
		c.writes.secretsRead(spaces[0])["added"]-reads["added"], strings.Join(c.writes.in(namespace)[writes:], "\n"))

	stopOperator()
	time.Sleep(time.Second)
	began = time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	polls := c.fleet.polls(keyOf(pods[0]))
	if err := c.startOperator(ctx); err != nil {
		t.Fatal(err)
	}
	for c.fleet.polls(keyOf(pods[0])) == polls {
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("an operator that restarts has checked each Secret and asked the pods after %v", time.Since(began).Round(time.Millisecond))
}

func (c *cluster) awaitReadyUsers(t *testing.T, count int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Minute); ; time.Sleep(2 * time.Second) {
		users := &v1alpha1.RelayUserList{}
		if err := c.List(t.Context(), users); err != nil {
			t.Fatal(err)
		}
		ready := 0
		for i := range users.Items {
			for _, condition := range users.Items[i].Status.Conditions {
				if condition.Type == v1alpha1.ConditionReady && condition.Status == metav1.ConditionTrue {
					ready++
				}
			}
		}
		if ready == count {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d users are ready", ready, count)
		}
	}
}

// awaitPasses makes the operator look at the relay so often, and returns how long each pass
// took, sorted.
func (c *cluster) awaitPasses(t *testing.T, relay *v1alpha1.MailRelay, pod *corev1.Pod, count int) []time.Duration {
	t.Helper()
	took := make([]time.Duration, count)
	for i := range took {
		passes, before := passesOver(t)
		c.pass(t, relay, pod)
		eventually(t, "the pass ends", func() error {
			if now, _ := passesOver(t); now == passes {
				return fmt.Errorf("not yet")
			}
			return nil
		})
		now, after := passesOver(t)
		took[i] = ((after - before) / time.Duration(now-passes)).Round(100 * time.Microsecond)
	}
	slices.Sort(took)
	return took
}

// passesOver is how many passes over MailRelays there were and how long they took together.
func passesOver(t *testing.T) (count uint64, took time.Duration) {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "controller_runtime_reconcile_time_seconds" {
			continue
		}
		for _, metric := range family.GetMetric() {
			if metric.GetLabel()[0].GetValue() == "mailrelay" {
				h := metric.GetHistogram()
				count, took = count+h.GetSampleCount(), took+time.Duration(h.GetSampleSum()*float64(time.Second))
			}
		}
	}
	return count, took
}

// tellShards prints how large the Secrets of users are.
func (c *cluster) tellShards(t *testing.T, relay *v1alpha1.MailRelay) {
	t.Helper()
	smallest, largest := roomOfShard, 0
	for number := range resources.UserShards {
		secret := &corev1.Secret{}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: relay.Namespace, Name: resources.UsersName(relay, number)}, secret); err != nil {
			t.Fatal(err)
		}
		size := len(secret.Data[resources.UsersKey])
		smallest, largest = min(smallest, size), max(largest, size)
	}
	t.Logf("the %d Secrets of users have %d to %d KiB of the %d that Kubernetes takes", resources.UserShards, smallest>>10, largest>>10, roomOfShard>>10)
}

func (c *cluster) tellMemory(t *testing.T) {
	t.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("heap in use, the test's own included: %d MiB", m.HeapInuse>>20)
}
