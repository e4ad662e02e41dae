//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// TestReadyUserStaysReadyWhileTheRelayRolls replaces the pods one by one, and then all at once.
func TestReadyUserStaysReadyWhileTheRelayRolls(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "latch")
	relay := newRelay(p)
	relay.Spec.Replicas = ptr.To[int32](2)
	s.startRelay(t, p, relay)
	pods := []string{relayPod, relayName + "-1"}
	for _, pod := range pods {
		s.waitPodReady(t, pod, "")
	}
	stop := s.watchUser(t, defaultUser)
	for _, pod := range pods {
		uid := s.deletePod(t, pod)
		s.waitPodReady(t, pod, uid)
	}
	uids := []string{s.deletePod(t, pods[0]), s.deletePod(t, pods[1])}
	for i, pod := range pods {
		s.waitPodReady(t, pod, uids[i])
	}
	s.waitReady(t)
	for _, change := range stop() {
		t.Errorf("the user's status changed while pods were replaced: %s", change)
	}
}

func (s *site) deletePod(t *testing.T, name string) (uid string) {
	t.Helper()
	pod := s.pod(t, name)
	// Its log goes with it.
	s.keepPod(t.Context(), pod)
	if err := s.Delete(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	return string(pod.UID)
}

// waitPodReady waits for a ready pod that is not the one with that UID.
func (s *site) waitPodReady(t *testing.T, name, not string) {
	t.Helper()
	waitFor(t, readyLimit, "pod "+name+" to be ready", func(ctx context.Context) (bool, string) {
		var pod corev1.Pod
		if err := s.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, &pod); err != nil {
			return false, err.Error()
		}
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && string(pod.UID) != not {
				return true, ""
			}
		}
		return false, fmt.Sprintf("%s, %s", pod.UID, pod.Status.Phase)
	})
}

// watchUser notes every change of a RelayUser's status until stop is called.
func (s *site) watchUser(t *testing.T, name string) (stop func() []string) {
	t.Helper()
	api, err := client.NewWithWatch(s.config, client.Options{Scheme: s.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	user := &v1alpha1.RelayUser{}
	s.get(t, name, user)
	list := &v1alpha1.RelayUserList{}
	changes, err := api.Watch(t.Context(), list, client.InNamespace(s.namespace), &client.ListOptions{
		Raw: &metav1.ListOptions{ResourceVersion: user.ResourceVersion},
	})
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range changes.ResultChan() {
			after, ok := event.Object.(*v1alpha1.RelayUser)
			if !ok || after.Name != name {
				continue
			}
			if event.Type != watch.Modified || !equality.Semantic.DeepEqual(user.Status, after.Status) {
				seen = append(seen, fmt.Sprintf("%s at %s: %+v", event.Type, time.Now().Format(time.TimeOnly), after.Status.Conditions))
			}
			user = after
		}
	}()
	return func() []string {
		changes.Stop()
		<-done
		return seen
	}
}
