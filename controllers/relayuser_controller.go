package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/apply"
)

// RelayUserReconciler makes RelayUsers what their specs say: it decides on access and keeps
// the Secret with the credentials. The relay's own loop takes the credentials from there.
type RelayUserReconciler struct {
	Client client.Client
	// Live reads from the API server, past the cache.
	Live   client.Reader
	Events events.EventRecorder
	Board  *Board
	Now    func() time.Time
	// CertManager knows whether the kinds of cert-manager are there.
	CertManager *CertManager
	// Keys are those of client certificates that the relays' loop has not seen in their Secrets yet.
	Keys *keyring
}

type userStep func(context.Context, *userScope) error

func (r *RelayUserReconciler) steps() []userStep {
	return []userStep{
		r.findRelay,        // the MailRelay that spec names
		r.decide,           // whether it lets the user in
		r.applyCredentials, // the Secret for the app
		r.awaitLoaded,      // what the relay's loop says of it
		r.hearRefusals,     // and of its senders
	}
}

// Reconcile is one pass over a RelayUser.
func (r *RelayUserReconciler) Reconcile(ctx context.Context, request ctrl.Request) (result ctrl.Result, err error) {
	user := &v1alpha1.RelayUser{}
	if err := r.Client.Get(ctx, request.NamespacedName, user); err != nil {
		if apierrors.IsNotFound(err) {
			r.Keys.drop(request.NamespacedName)
			r.Board.forgetUser(request.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	namespace, err := namespaceMetadata(ctx, r.Client, user.Namespace)
	if err != nil || ends(namespace) || !user.DeletionTimestamp.IsZero() {
		// The Secret of a user who goes is garbage collected; the relay's loop drops the user.
		return ctrl.Result{}, err
	}
	s := newUserScope(user, namespace)
	defer func() {
		err = errors.Join(err, r.summarise(ctx, s, err))
		result, err = next(s.requeueAfter, err)
	}()
	for _, step := range r.steps() {
		if err := s.note(step(ctx, s)); err != nil {
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{}, nil
}

// SetupWithManager starts the loop over RelayUsers and all that wakes it.
func (r *RelayUserReconciler) SetupWithManager(mgr ctrl.Manager) error {
	c, err := ctrl.NewControllerManagedBy(mgr).
		// Its status too: a pass that saw an old one may have found nothing to write.
		For(&v1alpha1.RelayUser{}).
		Watches(&v1alpha1.MailRelay{}, handler.EnqueueRequestsFromMapFunc(r.usersOfRelay),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(userOfSecret)).
		WatchesMetadata(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.usersOfNamespace)).
		WatchesRawSource(source.Channel(r.Board.Changes, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, RecoverPanic: ptr(true)}).
		Build(r)
	if err != nil {
		return fmt.Errorf("loop over RelayUsers: %w", err)
	}
	r.CertManager.onWatch(func(kind client.Object) error {
		if _, ok := kind.(*cmv1.CertificateRequest); !ok {
			return nil
		}
		return c.Watch(source.Kind(mgr.GetCache(), kind, handler.EnqueueRequestsFromMapFunc(userOfSigning)))
	})
	return nil
}

func (r *RelayUserReconciler) applier() *apply.Applier {
	return &apply.Applier{Client: r.Client, Live: r.Live}
}
