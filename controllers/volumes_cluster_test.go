package controllers

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

func (c *cluster) awaitReplicas(t *testing.T, relay *v1alpha1.MailRelay, not string, want int32) {
	t.Helper()
	eventually(t, "the StatefulSet has its pods", func() error {
		set := &appsv1.StatefulSet{}
		if err := c.Get(t.Context(), keyOf(relay), set); err != nil {
			return err
		}
		if string(set.UID) == not || *set.Spec.Replicas != want {
			return fmt.Errorf("it has %d replicas, UID %s", *set.Spec.Replicas, set.UID)
		}
		return nil
	})
}

// A volume without a pod may hold mail that nobody would deliver.
func TestNewStatefulSetHasAPodForEachVolume(t *testing.T) {
	c, namespace := onCluster(t)
	two, one := int32(2), int32(1)
	relay, _ := c.readyRelay(t, namespace, func(relay *v1alpha1.MailRelay) { relay.Spec.Replicas = &two })
	c.change(t, relay, func() { relay.Spec.Replicas = &one })
	c.awaitCondition(t, relay, v1alpha1.ConditionStalled, metav1.ConditionTrue, "ScaleDownRefused")
	set := statefulSetOf(relay)
	c.mustGet(t, set)
	if err := c.Delete(t.Context(), set, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
		t.Fatal(err)
	}
	c.awaitReplicas(t, relay, string(set.UID), 2)

	c.change(t, set, func() { set.Spec.Replicas = &one })
	c.awaitReplicas(t, relay, "", 2)
}

func TestEnlargedVolumesAreAsGood(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	size := resource.MustParse("3Gi")
	c.change(t, relay, func() { relay.Spec.Queue.Size = &size })
	message := c.awaitCondition(t, relay, v1alpha1.ConditionStalled, metav1.ConditionTrue, "QueueSizeKept")
	if !strings.Contains(message, "enlarge the PersistentVolumeClaim of each pod") {
		t.Errorf("message = %q", message)
	}
	// What the CSI driver does when someone enlarges the claim.
	claim := newClaim(relay, 0)
	c.changeStatus(t, claim, func() {
		claim.Status.Phase = corev1.ClaimBound
		claim.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: size}
	})
	c.change(t, relay, func() { relay.Annotations = map[string]string{"test/again": "1"} })
	c.awaitCondition(t, relay, v1alpha1.ConditionStalled, metav1.ConditionFalse, "NotStalled")

	// A further pod would get a volume of the old size.
	two := int32(2)
	c.change(t, relay, func() { relay.Spec.Replicas = &two })
	c.awaitCondition(t, relay, v1alpha1.ConditionStalled, metav1.ConditionTrue, "QueueSizeKept")
}

func TestStrayPodKeepsNobodyWaiting(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	stray := c.newPod(relay, 7)
	stray.OwnerReferences = nil
	c.mustCreate(t, stray)
	c.changeStatus(t, stray, func() { stray.Status = runningStatus("10.98.0.1") })
	user := newUser(namespace, "app", relay)
	c.mustCreate(t, user)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	c.mustGet(t, relay)
	if relay.Status.ReadyReplicas != 1 {
		t.Errorf("%d replicas are ready, want 1", relay.Status.ReadyReplicas)
	}
}

// Right after the operator's start it cannot be seen yet whether there are Certificates, for
// which cert-manager would write the Secrets again.
func TestRemovalWaitsUntilCertificatesCanBeSeen(t *testing.T) {
	c, namespace := onCluster(t)
	relay := newRelay(namespace)
	relay.Spec.Paused = true // The operator keeps its hands off.
	relay.Finalizers = []string{QueueFinalizer}
	c.mustCreate(t, relay)
	c.awaitCondition(t, relay, v1alpha1.ConditionStalled, metav1.ConditionTrue, "Paused")
	for _, step := range []struct {
		state int32
		held  bool
	}{{stateStarting, true}, {stateInstalled, false}} {
		r := &MailRelayReconciler{Client: c, Live: c, CertManager: &CertManager{}}
		r.CertManager.state.Store(step.state)
		s := newScope(relay, &memory{}, noon)
		if err := r.removeChildren(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if held := controllerutil.ContainsFinalizer(relay, QueueFinalizer); held != step.held {
			t.Errorf("in state %d the relay is held: %v, want %v", step.state, held, step.held)
		}
		if step.held && s.requeueAfter > establishing {
			t.Errorf("it looks again only after %v", s.requeueAfter)
		}
	}
}
