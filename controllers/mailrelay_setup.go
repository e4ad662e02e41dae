package controllers

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// workers is how many relays, and how many users, are worked on at the same time.
const workers = 8

// SetupWithManager starts the loop over MailRelays and all that wakes it, also CertManager,
// which needs the loop's watches.
func (r *MailRelayReconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.wake = make(chan event.GenericEvent, 1)
	dnsChanged := make(chan event.GenericEvent, 64)
	r.DNS.Changed = func(relay types.NamespacedName) { wakeOne(relay, dnsChanged) }
	toSelf := &handler.EnqueueRequestForObject{}
	c, err := ctrl.NewControllerManagedBy(mgr).
		// Its status too: a pass that saw an old one may have found nothing to write.
		For(&v1alpha1.MailRelay{}).
		Owns(&appsv1.StatefulSet{}).
		Owns(&corev1.Service{}).
		Owns(&corev1.ConfigMap{}).
		Owns(&corev1.ServiceAccount{}).
		Owns(&networkingv1.NetworkPolicy{}).
		Owns(&policyv1.PodDisruptionBudget{}).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(relayOfLabel)).
		// Not its status, which says nothing new to this loop and may be that of thousands.
		Watches(&v1alpha1.RelayUser{}, handler.EnqueueRequestsFromMapFunc(relayOfUser),
			builder.WithPredicates(predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.relaysOfSecret)).
		WatchesMetadata(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.relaysOfNamespace)).
		WatchesRawSource(source.Channel(r.wake, toSelf)).
		WatchesRawSource(source.Channel(r.Board.Relays, toSelf)).
		WatchesRawSource(source.Channel(dnsChanged, toSelf)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, RecoverPanic: ptr(true), RateLimiter: r.pace.start()}).
		Build(r)
	if err != nil {
		return fmt.Errorf("loop over MailRelays: %w", err)
	}
	return r.CertManager.setupWithManager(mgr, func(kind client.Object) error {
		owner := handler.EnqueueRequestForOwner(mgr.GetScheme(), mgr.GetRESTMapper(), &v1alpha1.MailRelay{}, handler.OnlyControllerOwner())
		return c.Watch(source.Kind(mgr.GetCache(), kind, owner))
	}, r.wakeAll)
}

// wakeAll makes every relay look again.
func (r *MailRelayReconciler) wakeAll(ctx context.Context) {
	relays := &v1alpha1.MailRelayList{}
	if err := r.Client.List(ctx, relays); err != nil {
		// They look again by themselves within the poll interval.
		ctrl.LoggerFrom(ctx).Error(err, "list MailRelays")
		return
	}
	for i := range relays.Items {
		select {
		case r.wake <- event.GenericEvent{Object: &relays.Items[i]}:
		case <-ctx.Done():
			return
		}
	}
}

// wakeOne makes a relay look again now, or when it would anyway if too much happens at once.
func wakeOne(relay types.NamespacedName, wake chan<- event.GenericEvent) {
	object := &v1alpha1.MailRelay{ObjectMeta: metav1.ObjectMeta{Namespace: relay.Namespace, Name: relay.Name}}
	select {
	case wake <- event.GenericEvent{Object: object}:
	default:
	}
}

func ptr[T any](v T) *T { return &v }
