package controllers

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
)

// setConditions puts conditions into a status; the time of the last transition stays where
// the status of a condition does.
func setConditions(into *[]metav1.Condition, conditions []metav1.Condition) {
	for _, c := range conditions {
		meta.SetStatusCondition(into, c)
	}
}

// recordChanges records an event for each condition whose status or reason changed. The
// reason of the event is that of the condition. What two conditions say alike, as Ready and
// the one that it is not ready for, is said once.
func recordChanges(recorder events.EventRecorder, object client.Object, before, after []metav1.Condition) {
	said := map[string]bool{}
	for i := range after {
		c := &after[i]
		if c.Type == v1alpha1.ConditionReady && toldBefore(before, after, c) {
			continue
		}
		if c.Type == v1alpha1.ConditionReconciling {
			// It comes and goes with every change; the others tell of the steps in between.
			continue
		}
		old := meta.FindStatusCondition(before, c.Type)
		if old != nil && old.Status == c.Status && old.Reason == c.Reason {
			continue
		}
		// At first sight only what is not as it should be is news.
		if old == nil && !bad(c) || said[c.Message] {
			continue
		}
		said[c.Message] = true
		kind := corev1.EventTypeNormal
		if bad(c) && !readiness.InProgress(c.Reason) {
			kind = corev1.EventTypeWarning
		}
		recorder.Eventf(object, nil, kind, c.Reason, c.Type, "%s", clip(c.Message))
	}
}

// toldBefore reports whether Ready, which was not true before either, now gives the reason of a
// condition that has had it before: that one's event has told of it.
func toldBefore(before, after []metav1.Condition, ready *metav1.Condition) bool {
	old := meta.FindStatusCondition(before, ready.Type)
	if old == nil || old.Status != ready.Status {
		return false
	}
	for i := range after {
		c := &after[i]
		was := meta.FindStatusCondition(before, c.Type)
		if c.Type != ready.Type && c.Reason == ready.Reason && was != nil && was.Reason == c.Reason && was.Status == c.Status {
			return true
		}
	}
	return false
}

// bad reports whether a condition tells of something that is not as it should be.
func bad(c *metav1.Condition) bool {
	if c.Type == v1alpha1.ConditionStalled {
		return c.Status == metav1.ConditionTrue
	}
	return c.Status == metav1.ConditionFalse
}

// clip keeps a note within what an event may hold.
func clip(note string) string {
	const most = 1000
	if len(note) <= most {
		return note
	}
	return note[:most] + "..."
}
