package controllers

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func (c *cluster) awaitGone(t *testing.T, object client.Object) {
	t.Helper()
	eventually(t, fmt.Sprintf("%T %s goes", object, object.GetName()), func() error {
		err := c.Get(t.Context(), keyOf(object), object)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(err, fmt.Errorf("it is there, deleted at %v, finalizers %v", object.GetDeletionTimestamp(), object.GetFinalizers()))
	})
}

// claimDeleted reports whether the first volume is gone or going: nobody takes its finalizer
// away here.
func (c *cluster) claimDeleted(t *testing.T, relay *v1alpha1.MailRelay) bool {
	t.Helper()
	claim := newClaim(relay, 0)
	err := c.Get(t.Context(), keyOf(claim), claim)
	return apierrors.IsNotFound(err) || err == nil && !claim.DeletionTimestamp.IsZero()
}

func TestRelayThatNeverRanGoesAtOnce(t *testing.T) {
	c, _ := onCluster(t)
	namespace := c.namespace(t, map[string]string{heldLabel: "true"})
	relay := newRelay(namespace)
	c.mustCreate(t, relay)
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionFalse, "Issuing")
	if err := c.Delete(t.Context(), relay); err != nil {
		t.Fatal(err)
	}
	c.awaitGone(t, relay)
}

func TestDeletionTakesEverythingWithIt(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	if err := c.Delete(t.Context(), relay); err != nil {
		t.Fatal(err)
	}
	c.awaitGone(t, relay)
	// What has an owner is garbage collected, which nobody does here.
	for _, object := range []client.Object{
		statefulSetOf(relay), &corev1.Service{ObjectMeta: named(relay, "relay")},
		secretNamed(namespace, "relay-ca-1"), secretNamed(namespace, "relay-ca-2"), secretNamed(namespace, "relay-tls"),
		&cmv1.Certificate{ObjectMeta: named(relay, "relay-tls")},
	} {
		if err := c.Get(t.Context(), keyOf(object), object); !apierrors.IsNotFound(err) {
			t.Errorf("%T %s is still there: %v", object, object.GetName(), err)
		}
	}
	if !c.claimDeleted(t, relay) {
		t.Error("the volume is still there")
	}
}

func TestDeletionWaitsForTheQueue(t *testing.T) {
	c, namespace := onCluster(t)
	relay, pods := c.readyRelay(t, namespace, nil)
	c.fleet.change(keyOf(pods[0]), func(report *config.Report) { report.Queue.Messages = 7 })
	if err := c.Delete(t.Context(), relay); err != nil {
		t.Fatal(err)
	}
	message := c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionFalse, "QueueNotEmpty")
	if !strings.Contains(message, "7 queued messages") {
		t.Errorf("message = %q", message)
	}
	// Without its pods the relay could not drain.
	set := statefulSetOf(relay)
	c.mustGet(t, set)
	uid := set.UID
	if err := c.Delete(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the StatefulSet comes back", func() error {
		fresh := &appsv1.StatefulSet{}
		if err := c.Get(t.Context(), keyOf(set), fresh); err != nil {
			return err
		}
		if fresh.UID == uid {
			return fmt.Errorf("it is still the old one")
		}
		return nil
	})
	if c.claimDeleted(t, relay) {
		t.Fatal("a volume with queued mail was deleted")
	}
	c.fleet.change(keyOf(pods[0]), func(report *config.Report) { report.Queue = config.QueueReport{Quarantined: 2} })
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionFalse, "MailQuarantined")
	if c.claimDeleted(t, relay) {
		t.Fatal("a volume with damaged mail was deleted")
	}
	c.fleet.change(keyOf(pods[0]), func(report *config.Report) { report.Queue.Quarantined = 0 })
	c.awaitGone(t, relay)
	if !c.claimDeleted(t, relay) {
		t.Error("the empty volume is still there")
	}
}

func TestDeletionWaitsForVolumesThatNobodySpeaksFor(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	c.mustCreate(t, newClaim(relay, 2))
	if err := c.Delete(t.Context(), relay); err != nil {
		t.Fatal(err)
	}
	message := c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionFalse, "QueueUnknown")
	if !strings.Contains(message, "spool-relay-2") {
		t.Errorf("message = %q", message)
	}
	set := statefulSetOf(relay)
	eventually(t, "the volume gets its pod", func() error {
		c.mustGet(t, set)
		if *set.Spec.Replicas != 3 {
			return fmt.Errorf("replicas are %d", *set.Spec.Replicas)
		}
		return nil
	})
	c.change(t, relay, func() { relay.Annotations = map[string]string{resources.DiscardQueueAnnotation: "true"} })
	c.awaitGone(t, relay)
}

func TestEndOfTheNamespaceIsNotHeldUp(t *testing.T) {
	c, namespace := onCluster(t)
	relay, pods := c.readyRelay(t, namespace, nil)
	c.fleet.change(keyOf(pods[0]), func(report *config.Report) { report.Queue.Messages = 2 })
	// Nobody empties a deleted namespace here, so the test deletes what is in it.
	if err := c.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), relay); err != nil {
		t.Fatal(err)
	}
	message := c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionFalse, "NamespaceEnds")
	if !strings.Contains(message, "2 queued messages") {
		t.Errorf("message = %q", message)
	}
	if err := c.Delete(t.Context(), pods[0], client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	c.awaitGone(t, relay)
}
