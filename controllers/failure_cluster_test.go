package controllers

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// refusedRule passes the CRD and makes a NetworkPolicy that the API server refuses.
func refusedRule() *v1alpha1.Access {
	selector := &v1alpha1.LabelSelector{MatchLabels: map[string]string{"team": "no label value!"}}
	return &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{PodSelector: selector}}}
}

func (c *cluster) mustLack(t *testing.T, relay *v1alpha1.MailRelay) {
	t.Helper()
	if err := c.Get(t.Context(), keyOf(relay), &appsv1.StatefulSet{}); !apierrors.IsNotFound(err) {
		t.Errorf("there are pods although there is no NetworkPolicy: %v", err)
	}
}

func TestPodsWaitForTheNetworkPolicy(t *testing.T) {
	c, namespace := onCluster(t)
	relay := newRelay(namespace)
	relay.Spec.Access = refusedRule()
	c.mustCreate(t, providerSecret(namespace), relay)
	c.awaitCondition(t, relay, v1alpha1.ConditionCertificateReady, metav1.ConditionTrue, "Issued")
	message := c.awaitCondition(t, relay, v1alpha1.ConditionNetworkRestricted, metav1.ConditionUnknown, "Retrying")
	if !strings.Contains(message, "NetworkPolicy relay") {
		t.Errorf("message = %q", message)
	}
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionFalse, "WaitingForPolicy")
	c.mustLack(t, relay)

	c.change(t, relay, func() { relay.Spec.Access = nil })
	c.await(t, statefulSetOf(relay))
	c.awaitCondition(t, relay, v1alpha1.ConditionNetworkRestricted, metav1.ConditionTrue, "UpstreamPortsOpen")
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
	c.change(t, relay, func() { relay.Spec.Access = refusedRule() })
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
	c.change(t, relay, func() { relay.Spec.Access = nil })
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionTrue, "Serving")
}
