package controllers

import (
	"context"
	"errors"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/apply"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// QueueFinalizer holds a MailRelay until its queue is empty.
const QueueFinalizer = "mailrelay.dev/queue"

// holdFinalizer is done before any volume can exist.
func (r *MailRelayReconciler) holdFinalizer(ctx context.Context, s *scope) error {
	if controllerutil.ContainsFinalizer(s.relay, QueueFinalizer) {
		return nil
	}
	patch := client.MergeFromWithOptions(s.relay.DeepCopy(), client.MergeFromWithOptimisticLock{})
	controllerutil.AddFinalizer(s.relay, QueueFinalizer)
	if err := r.Client.Patch(ctx, s.relay, patch); err != nil {
		controllerutil.RemoveFinalizer(s.relay, QueueFinalizer)
		return err
	}
	s.before = s.relay.DeepCopy()
	return nil
}

func (r *MailRelayReconciler) applyService(ctx context.Context, s *scope) error {
	s.relay.Status.Endpoints = resources.Endpoints(s.relay)
	return r.applyAll(ctx, s, resources.Service(s.relay))
}

func (r *MailRelayReconciler) applyIdentity(ctx context.Context, s *scope) error {
	return r.applyAll(ctx, s,
		resources.ServiceAccount(s.relay),
		resources.PodsService(s.relay),
		resources.PodDisruptionBudget(s.relay))
}

func (r *MailRelayReconciler) applyNetworkPolicy(ctx context.Context, s *scope) error {
	if !resources.NetworkPolicyEnabled(s.relay) {
		_, err := r.applier().Remove(ctx, s.relay, &networkingv1.NetworkPolicy{ObjectMeta: named(s.relay, s.relay.Name)})
		return err
	}
	_, err := r.applier().Apply(ctx, s.relay, resources.NetworkPolicy(s.relay, r.Settings.Namespace))
	s.facts.PolicyApplied = err == nil
	return err
}

// applyDefaultUser makes the relay's own RelayUser, not for a relay that goes.
func (r *MailRelayReconciler) applyDefaultUser(ctx context.Context, s *scope) error {
	if s.deleting() {
		return nil
	}
	if !resources.DefaultUserEnabled(s.relay) {
		_, err := r.applier().Remove(ctx, s.relay,
			&v1alpha1.RelayUser{ObjectMeta: named(s.relay, resources.DefaultUserName(s.relay))})
		return err
	}
	return r.applyAll(ctx, s, resources.DefaultUser(s.relay))
}

// applyAll applies children whose live state no one asks for.
func (r *MailRelayReconciler) applyAll(ctx context.Context, s *scope, children ...runtime.ApplyConfiguration) error {
	var failures []error
	for _, child := range children {
		_, err := r.applier().Apply(ctx, s.relay, child)
		failures = append(failures, s.note(err))
	}
	return errors.Join(failures...)
}

// named is the metadata of a child to be looked for.
func named(relay *v1alpha1.MailRelay, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: relay.Namespace, Name: name}
}

func (r *MailRelayReconciler) applier() *apply.Applier {
	return &apply.Applier{Client: r.Client, Live: r.Live}
}
