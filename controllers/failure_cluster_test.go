package controllers

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// refusedResources pass the CRD and make pods that the API server refuses.
func refusedResources() corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")},
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")},
	}
}

// policyPath is where the NetworkPolicy of a relay is made and written.
func policyPath(namespace string) (made, written string) {
	made = "/apis/networking.k8s.io/v1/namespaces/" + namespace + "/networkpolicies"
	return made, made + "/relay"
}

func (c *cluster) mustLack(t *testing.T, relay *v1alpha1.MailRelay) {
	t.Helper()
	if err := c.Get(t.Context(), keyOf(relay), &appsv1.StatefulSet{}); !apierrors.IsNotFound(err) {
		t.Errorf("there are pods although there is no NetworkPolicy: %v", err)
	}
}

func TestPodsWaitForTheNetworkPolicy(t *testing.T) {
	c, namespace := onCluster(t)
	made, _ := policyPath(namespace)
	c.writes.fail(made, true)
	relay := newRelay(namespace)
	c.mustCreate(t, providerSecret(namespace), relay)
	c.awaitCondition(t, relay, v1alpha1.ConditionCertificateReady, metav1.ConditionTrue, "Issued")
	message := c.awaitCondition(t, relay, v1alpha1.ConditionNetworkRestricted, metav1.ConditionUnknown, "Retrying")
	if !strings.Contains(message, "NetworkPolicy relay") {
		t.Errorf("message = %q", message)
	}
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionFalse, "WaitingForPolicy")
	c.mustLack(t, relay)

	c.writes.fail(made, false)
	c.await(t, statefulSetOf(relay))
	c.awaitCondition(t, relay, v1alpha1.ConditionNetworkRestricted, metav1.ConditionTrue, "UpstreamPortsOpen")
}

func TestBrokenSelectorWaitsForAPerson(t *testing.T) {
	c, namespace := onCluster(t)
	for name, tc := range map[string]struct {
		selector v1alpha1.LabelSelector
		says     string
	}{
		"value": {v1alpha1.LabelSelector{MatchLabels: map[string]string{"app": "my app"}}, `"my app"`},
		"key": {v1alpha1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "not a key", Operator: metav1.LabelSelectorOpExists},
		}}, `"not a key"`},
	} {
		relay := newRelay(namespace)
		relay.Name = name
		relay.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{PodSelector: &tc.selector}}}
		c.mustCreate(t, relay)
		message := c.awaitCondition(t, relay, v1alpha1.ConditionStalled, metav1.ConditionTrue, "ChildRefused")
		if !strings.Contains(message, "spec.access") || !strings.Contains(message, tc.says) {
			t.Errorf("%s: message = %q", name, message)
		}
		c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionFalse, "ChildRefused")
		c.awaitCondition(t, relay, v1alpha1.ConditionNetworkRestricted, metav1.ConditionFalse, "PolicyMissing")
		c.mustLack(t, relay)
	}
}

// What the API server refuses it refuses again: only a person can help.
func TestRefusedChildWaitsForAPerson(t *testing.T) {
	c, namespace := onCluster(t)
	relay := newRelay(namespace)
	relay.Spec.Resources = refusedResources()
	c.mustCreate(t, providerSecret(namespace), relay)
	message := c.awaitCondition(t, relay, v1alpha1.ConditionStalled, metav1.ConditionTrue, "ChildRefused")
	for _, part := range []string{"spec.resources", "requests", "must be less than or equal to cpu limit"} {
		if !strings.Contains(message, part) {
			t.Errorf("message = %q, want %q in it", message, part)
		}
	}
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionFalse, "ChildRefused")
	c.awaitCondition(t, relay, v1alpha1.ConditionWorkloadAvailable, metav1.ConditionFalse, "ChildRefused")

	c.change(t, relay, func() { relay.Spec.Resources = corev1.ResourceRequirements{} })
	c.await(t, statefulSetOf(relay))
	pods := c.runPods(t, relay, 1)
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionTrue, "Serving")

	c.change(t, relay, func() { relay.Spec.Resources = refusedResources() })
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionFalse, "ChildRefused")
	c.awaitCondition(t, relay, v1alpha1.ConditionWorkloadAvailable, metav1.ConditionTrue, "PodsReady")
	c.mustGet(t, pods[0])
}

func TestPodsWaitUntilAForeignNetworkPolicyIsGone(t *testing.T) {
	c, namespace := onCluster(t)
	foreign := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "relay"}}
	relay := newRelay(namespace)
	c.mustCreate(t, foreign, providerSecret(namespace), relay)
	message := c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionFalse, "NameTaken")
	if !strings.Contains(message, "NetworkPolicy relay exists and is not ours") {
		t.Errorf("message = %q", message)
	}
	c.awaitCondition(t, relay, v1alpha1.ConditionWorkloadAvailable, metav1.ConditionFalse, "WaitingForPolicy")
	c.mustLack(t, relay)
	if err := c.Delete(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	c.change(t, relay, func() { relay.Annotations = map[string]string{"test/again": "1"} })
	c.await(t, statefulSetOf(relay))
}

func TestFailedStepHidesNothingElse(t *testing.T) {
	c, namespace := onCluster(t)
	relay, pods := c.readyRelay(t, namespace, nil)
	set := statefulSetOf(relay)
	c.mustGet(t, set)
	uid := set.UID
	_, written := policyPath(namespace)
	c.writes.fail(written, true)
	c.change(t, relay, func() { relay.Spec.NetworkPolicy.MetricsFrom = &v1alpha1.LabelSelector{} })
	message := c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionUnknown, "Retrying")
	if !strings.Contains(message, "NetworkPolicy relay") {
		t.Errorf("message = %q", message)
	}
	if relay.Status.ObservedGeneration == relay.Generation {
		t.Error("a generation whose pass failed is said to be observed")
	}
	c.fleet.change(keyOf(pods[0]), func(report *config.Report) {
		report.Upstreams = []config.UpstreamReport{{Name: "provider", LastError: "535 5.7.8 no", LastErrorTime: time.Now(), LastErrorClass: "authentication"}}
	})
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionFalse, "UpstreamLoginRefused")
	c.mustGet(t, set)
	if set.UID != uid {
		t.Error("the pods were made anew")
	}
	c.fleet.change(keyOf(pods[0]), func(report *config.Report) { report.Upstreams = nil })
	c.writes.fail(written, false)
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionTrue, "Serving")
}
