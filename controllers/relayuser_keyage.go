package controllers

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// due reports whether a pair that can be used is to be replaced.
func (r *RelayUserReconciler) due(s *userScope, held *clientPair, issuer string) bool {
	return held.Record.Issuer != issuer || !r.Now().Before(held.renewal()) || asked(s.user, held, r.Now())
}

// asked reports whether someone wants another key, not that the certificate is old.
func asked(user *v1alpha1.RelayUser, held *clientPair, now time.Time) bool {
	interval, ok := rotationInterval(user)
	return isNew(user, v1alpha1.AnnotationRotate, held.Record.Rotate) ||
		ok && !now.Before(held.leaf.NotBefore.Add(interval))
}

// isNew reports whether an annotation asks for what was not answered. One that is taken away asks
// for nothing.
func isNew(user *v1alpha1.RelayUser, annotation, answered string) bool {
	value := user.Annotations[annotation]
	return value != "" && value != answered
}

// wakeAt has the user looked at again when the next thing about the pair is over.
func (s *userScope) wakeAt(now time.Time, held *clientPair) {
	times := []time.Time{held.renewal(), held.leaf.NotAfter}
	if interval, ok := rotationInterval(s.user); ok {
		times = append(times, held.leaf.NotBefore.Add(interval))
	}
	if held.Record.Until != nil {
		times = append(times, held.Record.Until.Time)
	}
	for _, t := range times {
		// What is over already is being worked on.
		if left := t.Sub(now); left > 0 {
			s.again(left)
		}
	}
}

// newRecord is that of a new key. The one before works on: to its end when it was only old, or as
// long as spec.rotation.overlap says.
func (r *RelayUserReconciler) newRecord(s *userScope, held *clientPair, issuer string) resources.KeyRecord {
	record := resources.KeyRecord{
		Issuer: issuer,
		Rotate: s.user.Annotations[v1alpha1.AnnotationRotate],
		Leaked: s.user.Annotations[v1alpha1.AnnotationLeaked],
	}
	if held == nil {
		return record
	}
	until := held.leaf.NotAfter
	if end := r.Now().Add(overlap(s.user)); asked(s.user, held, r.Now()) && end.Before(until) {
		until = end
	}
	record.Previous, record.Until = held.name, &metav1.Time{Time: until}
	return record.Without(r.Now())
}

func rotationInterval(user *v1alpha1.RelayUser) (time.Duration, bool) {
	if user.Spec.Rotation == nil || user.Spec.Rotation.Interval == nil {
		return 0, false
	}
	return user.Spec.Rotation.Interval.Duration, true
}
