package controllers

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// What the operator remembers saves work; without it, it must come to the same result, the
// verifiers of all users with their salts, the old ones too, the key for unknown users and DKIM
// keys included.
func TestOperatorThatRestartsWritesNothing(t *testing.T) {
	crds, err := certManagerCRDs()
	if err != nil {
		t.Fatal(err)
	}
	c, stopOperator := ownCluster(t, crds)
	namespace := c.namespace(t, nil)
	relay, _ := c.readyRelay(t, namespace, func(r *v1alpha1.MailRelay) {
		r.Spec.DKIM = generating(namespace, v1alpha1.DKIMAlgorithmEd25519, v1alpha1.DKIMAlgorithmEd25519).Spec.DKIM
	})
	c.publish(c.keyIn(t, relay, v1alpha1.DKIMWaiting))
	c.keyIn(t, relay, v1alpha1.DKIMPublished)
	user, first := c.readyUser(t, relay, nil)
	c.annotate(t, user, v1alpha1.AnnotationRotate, "1")
	c.awaitAccepted(t, relay, user, c.awaitNewPassword(t, user, first), first)
	c.readyCertificateUser(t, relay, newCertificateUser(namespace, "certified", relay))
	settled := c.settle(t, namespace)
	if c.mustGet(t, user); previousOf(user) == nil {
		t.Fatal("no old password is there to be forgotten")
	}
	stopOperator()
	time.Sleep(500 * time.Millisecond)
	before := len(c.writes.in(namespace))

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := c.startOperator(ctx); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second)
	if after := c.children(t, namespace); !maps.Equal(settled, after) {
		t.Errorf("children changed from\n%v\nto\n%v", settled, after)
	}
	if writes := c.writes.in(namespace)[before:]; len(writes) > 0 {
		t.Errorf("it wrote:\n%s", strings.Join(writes, "\n"))
	}
	if c.mustGet(t, user); previousOf(user) == nil || tells(c.eventsOf(t, namespace), "PreviousEnded") {
		t.Error("the old password is said to have ended")
	}
	// It is at work all the same.
	second := newUser(namespace, "second", relay)
	c.mustCreate(t, second)
	c.awaitCondition(t, second, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
}
