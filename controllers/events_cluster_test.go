package controllers

import (
	"fmt"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

func TestFreshRelayTellsEachStepOnce(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user := newUser(namespace, "app", relay)
	c.mustCreate(t, user)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	var told []eventsv1.Event
	eventually(t, "events of relay and user", func() error {
		told = c.eventsOf(t, namespace)
		if !tells(told, "Serving") || !tells(told, "CredentialsReady") {
			return fmt.Errorf("only %d events", len(told))
		}
		return nil
	})
	seen := map[string]bool{}
	for _, e := range told {
		line := fmt.Sprintf("%s %s: %s %s: %s", e.Regarding.Kind, e.Regarding.Name, e.Type, e.Reason, e.Note)
		if e.Series != nil {
			t.Errorf("told %d times: %s", e.Series.Count, line)
		}
		if seen[line] {
			t.Errorf("told again: %s", line)
		}
		seen[line] = true
	}
}

func tells(told []eventsv1.Event, reason string) bool {
	for _, e := range told {
		if e.Reason == reason {
			return true
		}
	}
	return false
}

// A pass often begins before the cache shows what the one before it wrote.
func TestPassOnOldStatusTellsNothing(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user := newUser(namespace, "app", relay)
	c.mustCreate(t, user)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	oldRelay, oldUser := relay.DeepCopy(), user.DeepCopy()
	oldRelay.Status, oldUser.Status = v1alpha1.MailRelayStatus{}, v1alpha1.RelayUserStatus{}
	for _, object := range []client.Object{relay, user} {
		c.change(t, object, func() { object.SetAnnotations(map[string]string{"test/newer": "1"}) })
	}

	for name, pass := range map[string]func(events.EventRecorder) error{
		"MailRelay": func(recorder events.EventRecorder) error {
			r := &MailRelayReconciler{Client: c.Client, Events: recorder}
			return r.summarise(t.Context(), newScope(oldRelay, &memory{}, time.Now()), nil)
		},
		"RelayUser": func(recorder events.EventRecorder) error {
			r := &RelayUserReconciler{Client: c.Client, Events: recorder}
			return r.summarise(t.Context(), newUserScope(oldUser, &metav1.PartialObjectMetadata{}), nil)
		},
	} {
		recorder := events.NewFakeRecorder(20)
		if err := pass(recorder); !apierrors.IsConflict(err) {
			t.Errorf("%s: an old status overwrote a new one: error = %v", name, err)
		}
		if n := len(recorder.Events); n > 0 {
			t.Errorf("%s: %d events, the first: %s", name, n, <-recorder.Events)
		}
	}
}
