package controllers

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

const (
	// settleTime is how long a queue must be empty after the Service is gone: clients that
	// were just connected may still hand over a message.
	settleTime = 5 * time.Second
	// deletionInterval is how often a relay in deletion is looked at.
	deletionInterval = 2 * time.Second
)

// deletionSteps let the queue run empty and then take everything away. As long as there is
// mail the relay is kept working, even if someone deletes its children.
func (r *MailRelayReconciler) deletionSteps(s *scope) []step {
	if !controllerutil.ContainsFinalizer(s.relay, QueueFinalizer) {
		return nil
	}
	s.facts.Deletion = &readiness.Deletion{}
	s.again(jitter(deletionInterval))
	return []step{do(r.leave, v1alpha1.ConditionCertificateReady, v1alpha1.ConditionWorkloadAvailable, v1alpha1.ConditionUpstreamReady,
		v1alpha1.ConditionQueueHealthy, v1alpha1.ConditionNetworkRestricted, v1alpha1.ConditionSendersRestricted)}
}

// leave decides how far the deletion is, by the volumes that are left: only a volume can hold
// mail.
func (r *MailRelayReconciler) leave(ctx context.Context, s *scope) error {
	if s.namespaceEnds {
		return r.leaveWithNamespace(ctx, s)
	}
	claims, err := r.claims(ctx, s)
	if err != nil {
		return err
	}
	if len(claims) > 0 && s.relay.Annotations[resources.DiscardQueueAnnotation] != "true" {
		empty, err := r.drain(ctx, s, claims)
		if err != nil || !empty {
			return err
		}
	}
	s.facts.Deletion.Removing = true
	for i := range claims {
		if err := r.applier().Delete(ctx, &claims[i]); err != nil {
			return err
		}
	}
	return r.removeChildren(ctx, s)
}

// claims are the volumes of the relay that are not on their way out, read live: a volume
// overlooked is mail lost.
func (r *MailRelayReconciler) claims(ctx context.Context, s *scope) ([]corev1.PersistentVolumeClaim, error) {
	list := &corev1.PersistentVolumeClaimList{}
	if err := r.Live.List(ctx, list, client.InNamespace(s.relay.Namespace),
		client.MatchingLabels(resources.PodSelector(s.relay))); err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	return slices.DeleteFunc(list.Items, func(claim corev1.PersistentVolumeClaim) bool {
		return !claim.DeletionTimestamp.IsZero() || !strings.HasPrefix(claim.Name, claimPrefix(s))
	}), nil
}

func claimPrefix(s *scope) string { return resources.SpoolVolume + "-" + s.relay.Name + "-" }

// drain keeps the relay delivering, out of the reach of new clients, and reports whether
// every volume is known to be empty for long enough.
func (r *MailRelayReconciler) drain(ctx context.Context, s *scope, claims []corev1.PersistentVolumeClaim) (empty bool, err error) {
	s.relay.Status.Endpoints = nil
	if _, err := r.applier().Remove(ctx, s.relay, &corev1.Service{ObjectMeta: named(s.relay, s.relay.Name)}); err != nil {
		return false, err
	}
	failure := s.perform(ctx, r.serviceSteps())
	d := s.facts.Deletion
	d.Queued, d.Quarantined, d.Silent = queued(s, claims)
	if failure != nil {
		return false, failure
	}
	if d.Queued > 0 || d.Quarantined > 0 || len(d.Silent) > 0 {
		s.memory.emptySince = time.Time{}
		return false, nil
	}
	if s.memory.emptySince.IsZero() {
		s.memory.emptySince = s.facts.Now
	}
	s.facts.Deletion.Removing = true
	left := settleTime - s.facts.Now.Sub(s.memory.emptySince)
	s.again(max(left, time.Millisecond))
	return left <= 0, nil
}

// replicasFor is the number of pods that gives each volume its pod.
func replicasFor(s *scope, claims []corev1.PersistentVolumeClaim) int32 {
	replicas := int32(0)
	for i := range claims {
		ordinal, err := strconv.ParseInt(strings.TrimPrefix(claims[i].Name, claimPrefix(s)), 10, 32)
		if err == nil {
			replicas = max(replicas, int32(ordinal)+1)
		}
	}
	return replicas
}

// queued adds up the messages on the volumes, and names those whose pod has told nothing.
func queued(s *scope, claims []corev1.PersistentVolumeClaim) (messages, quarantined int64, silent []string) {
	for i := range claims {
		pod := strings.TrimPrefix(claims[i].Name, resources.SpoolVolume+"-")
		at := slices.IndexFunc(s.facts.Pods, func(p readiness.Pod) bool { return p.Name == pod && p.Report != nil })
		if at < 0 {
			silent = append(silent, claims[i].Name)
			continue
		}
		messages += s.facts.Pods[at].Report.Queue.Messages
		quarantined += s.facts.Pods[at].Report.Queue.Quarantined
	}
	return messages, quarantined, silent
}

// leaveWithNamespace lets the pods deliver as long as they run. Nothing can be made in such a
// namespace, and the volumes go with it.
func (r *MailRelayReconciler) leaveWithNamespace(ctx context.Context, s *scope) error {
	s.facts.Deletion.NamespaceEnds = true
	if err := r.readTrust(ctx, s); err != nil {
		return err
	}
	if err := r.observePods(ctx, s); err != nil {
		return err
	}
	s.facts.Deletion.Queued = s.memory.queued
	if len(s.pods) > 0 {
		return nil
	}
	if s.memory.queued > 0 {
		log.FromContext(ctx).Info("the namespace was deleted with mail in the queue; it is lost", "messages", s.memory.queued)
	}
	return r.release(ctx, s)
}
