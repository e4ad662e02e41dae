package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

// retryAfter is the pause before another try at what failed.
const retryAfter = 2 * time.Second

// provisioner makes and removes volumes.
type provisioner struct {
	placement
	client    kubernetes.Interface
	factory   informers.SharedInformerFactory
	claims    corelisters.PersistentVolumeClaimLister
	volumes   corelisters.PersistentVolumeLister
	informers []cache.SharedIndexInformer
	// changed holds at most one notice: each pass looks at everything.
	changed chan struct{}
}

func newProvisioner(client kubernetes.Interface, place placement) *provisioner {
	factory := informers.NewSharedInformerFactory(client, 0)
	claims := factory.Core().V1().PersistentVolumeClaims()
	volumes := factory.Core().V1().PersistentVolumes()
	return &provisioner{
		placement: place,
		client:    client,
		factory:   factory,
		claims:    claims.Lister(),
		volumes:   volumes.Lister(),
		informers: []cache.SharedIndexInformer{claims.Informer(), volumes.Informer()},
		changed:   make(chan struct{}, 1),
	}
}

// run serves claims until ctx ends.
func (p *provisioner) run(ctx context.Context) error {
	for _, informer := range p.informers {
		if _, err := informer.AddEventHandler(p.notify()); err != nil {
			return fmt.Errorf("watch the API server: %w", err)
		}
	}
	p.factory.Start(ctx.Done())
	defer p.factory.Shutdown()
	for _, synced := range p.factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return nil
		}
	}
	for {
		var retry <-chan time.Time
		if err := p.pass(ctx); err != nil {
			slog.Error("not all volumes are in order; trying again", "error", err, "after", retryAfter)
			retry = time.After(retryAfter)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-p.changed:
		case <-retry:
		}
	}
}

// pass brings the class, all claims and all volumes into order, and returns what
// failed on the way.
func (p *provisioner) pass(ctx context.Context) error {
	failed := []error{p.ensureClass(ctx)}
	claims, err := p.claims.List(labels.Everything())
	failed = append(failed, err)
	for _, claim := range claims {
		if p.wants(claim) {
			failed = append(failed, p.provision(ctx, claim))
		}
	}
	volumes, err := p.volumes.List(labels.Everything())
	failed = append(failed, err)
	for _, volume := range volumes {
		if p.discarded(volume) {
			failed = append(failed, p.discard(ctx, volume))
		}
	}
	return errors.Join(failed...)
}

// ensureClass creates the storage class unless there is one.
func (p *provisioner) ensureClass(ctx context.Context) error {
	classes := p.client.StorageV1().StorageClasses()
	found, err := classes.Get(ctx, p.class, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = classes.Create(ctx, p.storageClass(), metav1.CreateOptions{})
	case err == nil && found.Provisioner != provisionerName:
		err = fmt.Errorf("it belongs to %s; choose another --storage-class", found.Provisioner)
	}
	if err != nil {
		return fmt.Errorf("storage class %s: %w", p.class, err)
	}
	return nil
}

// provision makes the directory first: a volume must not exist without it.
func (p *provisioner) provision(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	volume, err := p.volume(claim)
	if err != nil {
		return fmt.Errorf("claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	// The kubelet gives the group of the pod's fsGroup access; nobody else needs it.
	if err := os.MkdirAll(volume.Spec.Local.Path, 0o750); err != nil {
		return fmt.Errorf("make volume %s: %w", volume.Name, err)
	}
	_, err = p.client.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create volume %s: %w", volume.Name, err)
	}
	slog.Info("volume made", "volume", volume.Name, "namespace", claim.Namespace, "claim", claim.Name)
	return nil
}

// discard removes the directory first: without the volume nobody would know of it.
func (p *provisioner) discard(ctx context.Context, volume *corev1.PersistentVolume) error {
	path, err := p.path(volume.Name)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("remove volume %s: %w", volume.Name, err)
	}
	err = p.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete volume %s: %w", volume.Name, err)
	}
	slog.Info("volume removed", "volume", volume.Name)
	return nil
}

// notify leaves a notice, unless one waits already.
func (p *provisioner) notify() cache.ResourceEventHandler {
	notice := func() {
		select {
		case p.changed <- struct{}{}:
		default:
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notice() },
		UpdateFunc: func(any, any) { notice() },
		DeleteFunc: func(any) { notice() },
	}
}
