package controllers

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// pass makes the operator look at a relay once more; pod is one that it asks.
func (c *cluster) pass(t *testing.T, relay *v1alpha1.MailRelay, pod *corev1.Pod) {
	t.Helper()
	polls := c.fleet.polls(keyOf(pod))
	c.change(t, relay, func() { metav1.SetMetaDataAnnotation(&relay.ObjectMeta, "test/pass", fmt.Sprint(polls)) })
	eventually(t, "a pass over the relay", func() error {
		if c.fleet.polls(keyOf(pod)) == polls {
			return fmt.Errorf("pod %s was not asked since", pod.Name)
		}
		return nil
	})
}

func TestReadyUserStaysReadyWhilePodsComeAndGo(t *testing.T) {
	c, namespace := onCluster(t)
	relay, pods := c.readyRelay(t, namespace, func(relay *v1alpha1.MailRelay) { relay.Spec.Replicas = ptr(int32(2)) })
	user := newUser(namespace, "app", relay)
	c.mustCreate(t, user)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	before := user.ResourceVersion

	setReady := func(pod *corev1.Pod, ready corev1.ConditionStatus) {
		c.changeStatus(t, pod, func() { pod.Status.Conditions[0].Status = ready })
		c.pass(t, relay, pods[1])
	}
	setReady(pods[0], corev1.ConditionFalse)
	setReady(pods[1], corev1.ConditionFalse)
	setReady(pods[1], corev1.ConditionTrue)
	if err := c.Delete(t.Context(), pods[0]); err != nil {
		t.Fatal(err)
	}
	c.pass(t, relay, pods[1])
	// The new one is ready before it has loaded anything.
	fresh := c.newPod(relay, 0)
	eventually(t, "the old pod is gone", func() error { return c.Create(t.Context(), fresh) })
	ip := c.fleet.add(keyOf(fresh), relay.Name)
	c.fleet.stick(keyOf(fresh), true)
	c.changeStatus(t, fresh, func() { fresh.Status = runningStatus(ip) })
	c.pass(t, relay, pods[1])
	// A user that comes into the same shard makes no difference either.
	c.mustCreate(t, newUser(namespace, sameShard(t, "app."+namespace, namespace), relay))
	c.pass(t, relay, pods[1])
	c.fleet.stick(keyOf(fresh), false)
	c.pass(t, relay, pods[1])

	c.mustGet(t, user)
	if user.ResourceVersion != before {
		t.Errorf("the user was written to while pods were replaced:\n%s", list(user.Status.Conditions))
	}
}

func TestReadyIsOfTheSpecThatEachPodHasLoaded(t *testing.T) {
	c, namespace := onCluster(t)
	relay, pods := c.readyRelay(t, namespace, func(relay *v1alpha1.MailRelay) { relay.Spec.Replicas = ptr(int32(2)) })
	user := newUser(namespace, "app", relay)
	c.mustCreate(t, user)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")

	c.fleet.stick(keyOf(pods[1]), true)
	c.change(t, user, func() { user.Spec.AllowedSenders = []string{"app@example.com"} })
	eventually(t, "the shard has the new senders", func() error {
		if known := c.known(t, relay, "app."+namespace); !slices.Equal(known.Senders, user.Spec.AllowedSenders) {
			return fmt.Errorf("the relay knows %v", known.Senders)
		}
		return nil
	})
	c.pass(t, relay, pods[1])
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionFalse, "LoadingCredentials")
	c.fleet.stick(keyOf(pods[1]), false)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
}
