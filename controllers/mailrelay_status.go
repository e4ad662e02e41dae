package controllers

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
)

// summarise ends a pass: it decides the conditions, writes status if it changed, and records
// an event for each condition that changed. It is the only place that does.
func (r *MailRelayReconciler) summarise(ctx context.Context, s *scope, failure error) error {
	if s.released() || apierrors.IsConflict(failure) {
		// A conflict means that the pass read old data; the next one reads new data.
		return nil
	}
	s.facts.Failure = failure
	conditions := readiness.MailRelay(&s.facts)
	setConditions(&s.relay.Status.Conditions, conditions)
	if failure == nil {
		s.relay.Status.ObservedGeneration = s.relay.Generation
	}
	if equality.Semantic.DeepEqual(s.before.Status, s.relay.Status) {
		return nil
	}
	if err := r.Client.Status().Patch(ctx, s.relay, fromThePresent(s.before)); err != nil {
		return client.IgnoreNotFound(err)
	}
	if !s.namespaceEnds {
		recordChanges(r.Events, s.relay, s.memory.told(s.before.Status.Conditions), conditions)
	}
	s.memory.decide(conditions)
	return nil
}

// fromThePresent makes a patch that the API server refuses as a conflict when before is not
// the newest version: compared with an old status, what was told already would be told again.
func fromThePresent(before client.Object) client.Patch {
	return client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
}
