package controllers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestUpstreamSecretThatComesLate(t *testing.T) {
	c, namespace := onCluster(t)
	relay := newRelay(namespace)
	c.mustCreate(t, relay)
	message := c.awaitCondition(t, relay, v1alpha1.ConditionUpstreamReady, metav1.ConditionFalse, "UpstreamSecretMissing")
	if !strings.Contains(message, "Secret provider") || !strings.Contains(message, "create it") {
		t.Errorf("message = %q", message)
	}
	incomplete := providerSecret(namespace)
	delete(incomplete.Data, "password")
	c.mustCreate(t, incomplete)
	message = c.awaitCondition(t, relay, v1alpha1.ConditionUpstreamReady, metav1.ConditionFalse, "UpstreamSecretIncomplete")
	if !strings.Contains(message, "no password") {
		t.Errorf("message = %q", message)
	}
	c.change(t, incomplete, func() { incomplete.Data["password"] = []byte("late") })
	c.awaitCondition(t, relay, v1alpha1.ConditionUpstreamReady, metav1.ConditionTrue, "Configured")
}

func TestForeignObjectsAreLeftAlone(t *testing.T) {
	c, namespace := onCluster(t)
	foreign := []*corev1.Secret{secretNamed(namespace, "relay-config-v1"), secretNamed(namespace, "relay-tls"), secretNamed(namespace, "relay-default")}
	for _, secret := range foreign {
		secret.Data = map[string][]byte{"theirs": []byte("x")}
		c.mustCreate(t, secret)
	}
	relay := newRelay(namespace)
	c.mustCreate(t, providerSecret(namespace), relay)
	message := c.awaitCondition(t, relay, v1alpha1.ConditionStalled, metav1.ConditionTrue, "NameTaken")
	for _, want := range []string{"Secret relay-config-v1 exists and is not ours: rename or delete it", "Secret relay-tls exists and is not ours"} {
		if !strings.Contains(message, want) {
			t.Errorf("message = %q, want it to say %q", message, want)
		}
	}
	for _, secret := range foreign {
		was := secret.ResourceVersion
		c.mustGet(t, secret)
		if secret.ResourceVersion != was {
			t.Errorf("Secret %s was written to", secret.Name)
		}
	}
	for _, secret := range foreign[:2] {
		if err := c.Delete(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
	}
	c.change(t, relay, func() { relay.Annotations = map[string]string{"test/again": "1"} })
	c.awaitCondition(t, relay, v1alpha1.ConditionCertificateReady, metav1.ConditionTrue, "Issued")
	user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "relay-default"}}
	c.awaitCondition(t, user, v1alpha1.ConditionStalled, metav1.ConditionTrue, "NameTaken")
}

func TestCertManagerThatComesLate(t *testing.T) {
	c, _ := ownCluster(t, nil)
	namespace := c.namespace(t, nil)
	relay := newRelay(namespace)
	c.mustCreate(t, providerSecret(namespace), relay)
	message := c.awaitCondition(t, relay, v1alpha1.ConditionCertificateReady, metav1.ConditionFalse, "CertManagerMissing")
	if !strings.Contains(message, "install cert-manager") {
		t.Errorf("message = %q", message)
	}
	c.awaitCondition(t, relay, v1alpha1.ConditionWorkloadAvailable, metav1.ConditionFalse, "WaitingForCertificate")
	// A watch of a missing kind would end the operator after this time.
	time.Sleep(cacheSyncTimeout + time.Second)

	crds, err := certManagerCRDs()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := envtest.InstallCRDs(c.config, envtest.CRDInstallOptions{Paths: crds}); err != nil {
		t.Fatal(err)
	}
	c.awaitCondition(t, relay, v1alpha1.ConditionCertificateReady, metav1.ConditionTrue, "Issued")
	c.await(t, statefulSetOf(relay))
}

func TestMissingIssuerIsNamed(t *testing.T) {
	c, _ := onCluster(t)
	namespace := c.namespace(t, map[string]string{heldLabel: "true"})
	relay := newRelay(namespace)
	relay.Spec.TLS = &v1alpha1.RelayTLS{Names: []string{"mail.example.com"}, IssuerRef: &v1alpha1.IssuerReference{Name: "public"}}
	c.mustCreate(t, providerSecret(namespace), relay)
	message := c.awaitCondition(t, relay, v1alpha1.ConditionCertificateReady, metav1.ConditionFalse, "ExternalCertificateMissing")
	if !strings.Contains(message, "Issuer public, which does not exist") {
		t.Errorf("message = %q", message)
	}
	public := &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "public"}}
	public.Spec.SelfSigned = &cmv1.SelfSignedIssuer{}
	c.mustCreate(t, public)
	c.change(t, relay, func() { relay.Annotations = map[string]string{"test/again": "1"} })
	c.awaitCondition(t, relay, v1alpha1.ConditionCertificateReady, metav1.ConditionFalse, "Issuing")
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	c.change(t, space, func() { delete(space.Labels, heldLabel) })
	c.awaitCondition(t, relay, v1alpha1.ConditionCertificateReady, metav1.ConditionTrue, "Issued")
}

func TestUnschedulablePodIsNamed(t *testing.T) {
	c, namespace := onCluster(t)
	relay, pods := c.readyRelay(t, namespace, nil)
	pod := pods[0]
	c.changeStatus(t, pod, func() {
		pod.Status.ContainerStatuses = nil
		pod.Status.Conditions = []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionFalse},
			{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "0/1 nodes are available"},
		}
	})
	message := c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionFalse, "PodsUnschedulable")
	if !strings.Contains(message, "0/1 nodes are available") {
		t.Errorf("message = %q", message)
	}
	c.changeStatus(t, pod, func() { pod.Status = runningStatus(pod.Status.PodIP) })
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionTrue, "Serving")
}

func TestScaleDownIsRefused(t *testing.T) {
	c, namespace := onCluster(t)
	two := int32(2)
	relay, _ := c.readyRelay(t, namespace, func(relay *v1alpha1.MailRelay) { relay.Spec.Replicas = &two })
	one := int32(1)
	c.change(t, relay, func() { relay.Spec.Replicas = &one })
	message := c.awaitCondition(t, relay, v1alpha1.ConditionStalled, metav1.ConditionTrue, "ScaleDownRefused")
	if !strings.Contains(message, "set spec.replicas to 2") {
		t.Errorf("message = %q", message)
	}
	set := statefulSetOf(relay)
	c.mustGet(t, set)
	if *set.Spec.Replicas != 2 {
		t.Errorf("the StatefulSet has %d replicas, want 2", *set.Spec.Replicas)
	}
	c.change(t, relay, func() { relay.Spec.Replicas = &two })
	c.awaitCondition(t, relay, v1alpha1.ConditionStalled, metav1.ConditionFalse, "NotStalled")
}

func TestPausedRelayIsWatchedAndLeftAlone(t *testing.T) {
	c, namespace := onCluster(t)
	relay, pods := c.readyRelay(t, namespace, nil)
	c.change(t, relay, func() {
		relay.Spec.Paused = true
		relay.Spec.Scheduling.PriorityClassName = "system-node-critical"
	})
	set := statefulSetOf(relay)
	c.mustGet(t, set)
	generation := set.Generation
	c.awaitCondition(t, relay, v1alpha1.ConditionStalled, metav1.ConditionTrue, "Paused")
	user := newUser(namespace, "late", relay)
	c.mustCreate(t, user)
	c.awaitCondition(t, user, v1alpha1.ConditionStalled, metav1.ConditionTrue, "RelayPaused")
	if err := c.Get(t.Context(), keyOf(user), secretNamed(namespace, "late")); !apierrors.IsNotFound(err) {
		t.Errorf("credentials were written for a paused relay: %v", err)
	}
	c.changeStatus(t, pods[0], func() { pods[0].Status.Conditions[0].Status = corev1.ConditionFalse })
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionFalse, "PodsNotReady")
	if relay.Status.ReadyReplicas != 0 {
		t.Errorf("status tells of %d ready replicas", relay.Status.ReadyReplicas)
	}
	c.mustGet(t, set)
	if set.Generation != generation {
		t.Error("the StatefulSet of a paused relay was changed")
	}
	c.changeStatus(t, pods[0], func() { pods[0].Status.Conditions[0].Status = corev1.ConditionTrue })
	c.change(t, relay, func() { relay.Spec.Paused = false })
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionTrue, "Serving")
}

func TestUpstreamFailureReachesStatus(t *testing.T) {
	c, namespace := onCluster(t)
	relay, pods := c.readyRelay(t, namespace, nil)
	pod := pods[0]
	c.fleet.change(keyOf(pod), func(report *config.Report) {
		report.Upstreams = []config.UpstreamReport{{Name: "provider", LastError: "535 5.7.8 no", LastErrorClass: "authentication"}}
	})
	c.change(t, relay, func() { relay.Annotations = map[string]string{"test/again": "1"} })
	message := c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionFalse, "UpstreamLoginRefused")
	if !strings.Contains(message, "mend username and password in Secret provider") {
		t.Errorf("message = %q", message)
	}
	eventually(t, "an event of that reason", func() error {
		for _, e := range c.eventsOf(t, namespace) {
			if e.Reason == "UpstreamLoginRefused" && e.Type == corev1.EventTypeWarning {
				return nil
			}
		}
		return fmt.Errorf("none")
	})
}
