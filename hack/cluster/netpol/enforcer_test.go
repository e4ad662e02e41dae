package main

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/netpol/policy"
)

var podAddr = netip.MustParseAddr("10.88.1.2")

func pod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "web"},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: podAddr.String()},
	}
}

func denyAll() *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "deny"}}
}

// start runs an enforcer whose rules go to the channel.
func start(t *testing.T, client kubernetes.Interface, apply func(policy.Model) error) <-chan policy.Model {
	t.Helper()
	models := make(chan policy.Model, 100)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- newEnforcer(client, func(m policy.Model) error {
			err := apply(m)
			if err == nil {
				models <- m
			}
			return err
		}).run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the enforcer ended with %v", err)
		}
	})
	return models
}

func accept(policy.Model) error { return nil }

// awaitIsolated waits for rules that do, or do not, isolate the pod.
func awaitIsolated(t *testing.T, models <-chan policy.Model, want bool, limit time.Duration) {
	t.Helper()
	deadline := time.After(limit)
	for {
		select {
		case m := <-models:
			if _, isolated := m.Ingress[podAddr]; isolated == want {
				return
			}
		case <-deadline:
			t.Fatalf("no rules with isolated=%v within %v", want, limit)
		}
	}
}

func TestRulesFollowPoliciesAndPods(t *testing.T) {
	t.Parallel()
	const promptly = 500 * time.Millisecond
	client := fake.NewClientset(pod())
	models := start(t, client, accept)
	awaitIsolated(t, models, false, 10*time.Second)

	policies, pods := client.NetworkingV1().NetworkPolicies("a"), client.CoreV1().Pods("a")
	if _, err := policies.Create(t.Context(), denyAll(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitIsolated(t, models, true, promptly)
	if err := pods.Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitIsolated(t, models, false, promptly)
	if _, err := pods.Create(t.Context(), pod(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitIsolated(t, models, true, promptly)
	if err := policies.Delete(t.Context(), "deny", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitIsolated(t, models, false, promptly)
}

func TestSameRulesAreWrittenOnce(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset(pod())
	models := start(t, client, accept)
	awaitIsolated(t, models, false, 10*time.Second)
	changed := pod()
	changed.Annotations = map[string]string{"unrelated": "true"}
	if _, err := client.CoreV1().Pods("a").Update(t.Context(), changed, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.NetworkingV1().NetworkPolicies("a").Create(t.Context(), denyAll(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if m := <-models; len(m.Ingress) != 1 {
		t.Errorf("rules were written for a change that alters none: %+v", m)
	}
}

func TestRefusedRulesAreTriedAgain(t *testing.T) {
	t.Parallel()
	tries := 0
	models := start(t, fake.NewClientset(pod(), denyAll()), func(policy.Model) error {
		if tries++; tries == 1 {
			return errors.New("busy")
		}
		return nil
	})
	awaitIsolated(t, models, true, 10*time.Second)
	if tries != 2 {
		t.Errorf("written after %d tries, want 2", tries)
	}
}

func TestRunWantsAKubeconfig(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--kubeconfig", "/nonexistent"}, {"--unknown"}} {
		if err := run(t.Context(), args); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
}
