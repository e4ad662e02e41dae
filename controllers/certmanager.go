package controllers

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// CertManager follows whether the kinds of cert-manager are in the cluster, and watches them
// from when they are. They may come long after the operator, which never waits for them.
type CertManager struct {
	Client client.Client
	Cache  cache.Cache

	watchKind []func(client.Object) error
	wake      func(context.Context)

	state    atomic.Int32
	watching map[string]bool
}

const (
	stateUnknown int32 = iota
	stateMissing
	stateStarting
	stateInstalled
)

// certManagerKinds are the kinds that MailRelays own, by the name of their CRD.
var certManagerKinds = map[string]client.Object{
	"certificaterequests.cert-manager.io": &cmv1.CertificateRequest{},
	"certificates.cert-manager.io":        &cmv1.Certificate{},
	"issuers.cert-manager.io":             &cmv1.Issuer{},
}

// fillTimeout is how long to wait for the objects of a kind at a time.
const fillTimeout = 10 * time.Second

// establishing is how soon to look again at kinds that the API server does not serve yet.
const establishing = time.Second

// Known is false right after the operator's start. All MailRelays are woken when it becomes
// true.
func (c *CertManager) Known() bool { return c.state.Load() != stateUnknown }

// State tells whether the kinds are there and watched, and whether they are known to be
// missing.
func (c *CertManager) State() (installed, missing bool) {
	state := c.state.Load()
	return state == stateInstalled, state == stateMissing
}

// setupWithManager starts following the CRDs of cert-manager: watch adds a watch of a kind
// whose objects MailRelays own, wake makes all MailRelays look again.
func (c *CertManager) setupWithManager(mgr ctrl.Manager, watch func(client.Object) error, wake func(context.Context)) error {
	c.wake = wake
	c.onWatch(watch)
	ours := predicate.NewPredicateFuncs(func(object client.Object) bool {
		return certManagerKinds[object.GetName()] != nil
	})
	// All changes come down to one request; the first is made at the start, since a CRD that
	// is not there makes no event.
	one := reconcile.Request{NamespacedName: client.ObjectKey{Name: "cert-manager"}}
	toOne := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{one}
	})
	start := source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		queue.Add(one)
		return nil
	})
	err := ctrl.NewControllerManagedBy(mgr).
		Named("certmanager").
		WatchesMetadata(&apiextensionsv1.CustomResourceDefinition{}, toOne, builder.WithPredicates(ours)).
		WatchesRawSource(start).
		Complete(c)
	if err != nil {
		return fmt.Errorf("follow the CRDs of cert-manager: %w", err)
	}
	return nil
}

// onWatch adds a watch, of the kinds that it wants, to those that are made when the kinds are
// there. It is for the time before the manager starts.
func (c *CertManager) onWatch(watch func(client.Object) error) {
	c.watchKind = append(c.watchKind, watch)
}

// Reconcile watches the kinds as soon as they can be watched. As long as they cannot, the
// relays go on without.
func (c *CertManager) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	result, err := c.follow(ctx)
	if installed, missing := c.State(); !installed && !missing {
		c.enter(ctx, stateStarting)
	}
	return result, err
}

func (c *CertManager) follow(ctx context.Context) (ctrl.Result, error) {
	for name, kind := range certManagerKinds {
		exists, err := c.exists(ctx, name)
		if err != nil {
			return ctrl.Result{}, err
		}
		if !exists {
			c.enter(ctx, stateMissing)
			return ctrl.Result{}, nil
		}
		served, err := c.served(kind)
		if err != nil {
			return ctrl.Result{}, err
		}
		if !served {
			return ctrl.Result{RequeueAfter: establishing}, nil
		}
	}
	for name, kind := range certManagerKinds {
		if err := c.watch(ctx, name, kind); err != nil {
			return ctrl.Result{}, err
		}
	}
	c.enter(ctx, stateInstalled)
	return ctrl.Result{}, nil
}

func (c *CertManager) exists(ctx context.Context, crd string) (bool, error) {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	err := c.Client.Get(ctx, client.ObjectKey{Name: crd}, object)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil && object.DeletionTimestamp.IsZero(), err
}

// served reports whether the API server serves a kind already: a CRD takes a moment.
func (c *CertManager) served(kind client.Object) (bool, error) {
	gvk, err := c.Client.GroupVersionKindFor(kind)
	if err != nil {
		return false, err
	}
	_, err = c.Client.RESTMapper().RESTMapping(schema.GroupKind{Group: gvk.Group, Kind: gvk.Kind}, gvk.Version)
	if meta.IsNoMatchError(err) {
		return false, nil
	}
	return err == nil, err
}

// watch adds the watch of a kind once, and returns when its cache is filled.
func (c *CertManager) watch(ctx context.Context, name string, kind client.Object) error {
	if !c.watching[name] {
		for _, watch := range c.watchKind {
			if err := watch(kind); err != nil {
				return fmt.Errorf("watch %s: %w", name, err)
			}
		}
		if c.watching == nil {
			c.watching = map[string]bool{}
		}
		c.watching[name] = true
	}
	ctx, cancel := context.WithTimeout(ctx, fillTimeout)
	defer cancel()
	if _, err := c.Cache.GetInformer(ctx, kind); err != nil {
		return fmt.Errorf("fill the cache of %s: %w", name, err)
	}
	return nil
}

func (c *CertManager) enter(ctx context.Context, state int32) {
	if c.state.Swap(state) != state {
		c.wake(ctx)
	}
}
