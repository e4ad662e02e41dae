package main

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/netpol/policy"
)

// retryAfter is the pause before rules that were refused are written again.
const retryAfter = time.Second

// enforcer keeps applied rules in step with the API server.
type enforcer struct {
	factory    informers.SharedInformerFactory
	policies   networkinglisters.NetworkPolicyLister
	pods       corelisters.PodLister
	namespaces corelisters.NamespaceLister
	informers  []cache.SharedIndexInformer
	apply      func(policy.Model) error
	// changed holds at most one notice, so that a burst of events leads to one
	// more pass and not to a queue of them.
	changed chan struct{}
}

func newEnforcer(client kubernetes.Interface, apply func(policy.Model) error) *enforcer {
	factory := informers.NewSharedInformerFactory(client, 0)
	policies := factory.Networking().V1().NetworkPolicies()
	pods := factory.Core().V1().Pods()
	namespaces := factory.Core().V1().Namespaces()
	return &enforcer{
		factory:    factory,
		policies:   policies.Lister(),
		pods:       pods.Lister(),
		namespaces: namespaces.Lister(),
		informers:  []cache.SharedIndexInformer{policies.Informer(), pods.Informer(), namespaces.Informer()},
		apply:      apply,
		changed:    make(chan struct{}, 1),
	}
}

// run enforces until ctx ends. Nothing is applied before all is known: rules
// from half a state would cut what is allowed.
func (e *enforcer) run(ctx context.Context) error {
	for _, informer := range e.informers {
		if _, err := informer.AddEventHandler(e.notify()); err != nil {
			return fmt.Errorf("watch the API server: %w", err)
		}
	}
	e.factory.Start(ctx.Done())
	defer e.factory.Shutdown()
	for _, synced := range e.factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return nil
		}
	}
	return e.follow(ctx)
}

// follow applies the model after each change that alters it.
func (e *enforcer) follow(ctx context.Context) error {
	var applied *policy.Model
	for {
		model, err := e.compile()
		if err != nil {
			return err
		}
		var retry <-chan time.Time
		if applied == nil || !reflect.DeepEqual(*applied, model) {
			if err := e.apply(model); err != nil {
				slog.Error("rules were not written; trying again", "error", err, "after", retryAfter)
				retry = time.After(retryAfter)
			} else {
				applied = &model
				slog.Info("rules written", "ingress", len(model.Ingress), "egress", len(model.Egress))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-e.changed:
		case <-retry:
		}
	}
}

func (e *enforcer) compile() (policy.Model, error) {
	policies, err := e.policies.List(labels.Everything())
	if err != nil {
		return policy.Model{}, fmt.Errorf("list policies: %w", err)
	}
	pods, err := e.pods.List(labels.Everything())
	if err != nil {
		return policy.Model{}, fmt.Errorf("list pods: %w", err)
	}
	namespaces, err := e.namespaces.List(labels.Everything())
	if err != nil {
		return policy.Model{}, fmt.Errorf("list namespaces: %w", err)
	}
	return policy.Compile(policy.State{Policies: policies, Pods: pods, Namespaces: namespaces}), nil
}

// notify leaves a notice, unless one waits already.
func (e *enforcer) notify() cache.ResourceEventHandler {
	notice := func() {
		select {
		case e.changed <- struct{}{}:
		default:
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notice() },
		UpdateFunc: func(any, any) { notice() },
		DeleteFunc: func(any) { notice() },
	}
}
