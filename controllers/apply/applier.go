package apply

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/csaupgrade"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// FieldOwner is the one field owner of everything that the operator writes.
const FieldOwner = "mailrelay-operator"

// Applier makes child objects be what their apply configurations say.
type Applier struct {
	// Client reads through the cache and writes.
	Client client.Client
	// Live reads from the API server: Secrets, whose content is never cached, and what
	// the cache does not show because it lacks the operator's label.
	Live client.Reader
}

// Apply makes the object that desired describes exist with exactly the fields that desired
// names, controlled by owner, and returns it as it then is. Nothing is written when nothing
// differs. A NotOursError tells that an object of that name is not controlled by owner.
func (a *Applier) Apply(ctx context.Context, owner client.Object, desired runtime.ApplyConfiguration) (client.Object, error) {
	want, err := a.render(owner, desired)
	if err != nil {
		return nil, err
	}
	live, err := a.ensure(ctx, owner, want)
	if err != nil {
		return nil, err
	}
	return a.update(ctx, live, want)
}

// ApplyOver does the same over the object as it was read from the API server. It is for desired
// that was made of what live holds: a conflict tells that the object is another by now, so that
// desired would undo what someone has done to it.
func (a *Applier) ApplyOver(ctx context.Context, owner, live client.Object, desired runtime.ApplyConfiguration) (client.Object, error) {
	want, err := a.render(owner, desired)
	if err != nil {
		return nil, err
	}
	want.SetResourceVersion(live.GetResourceVersion())
	return a.update(ctx, live, want)
}

// update makes a live object of the owner be what is wanted, of just this version where want
// has one.
func (a *Applier) update(ctx context.Context, live client.Object, want *unstructured.Unstructured) (client.Object, error) {
	live, err := a.adopt(ctx, live)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", describe(want), err)
	}
	if want.GetResourceVersion() != "" {
		want.SetResourceVersion(live.GetResourceVersion())
	}
	current, err := upToDate(live, want)
	if err != nil || current {
		return live, err
	}
	return a.patch(ctx, live, want)
}

// Ensure makes the object that desired describes exist, controlled by owner, and returns it. One
// that exists is not changed: it is for objects that are immutable.
func (a *Applier) Ensure(ctx context.Context, owner client.Object, desired runtime.ApplyConfiguration) (client.Object, error) {
	want, err := a.render(owner, desired)
	if err != nil {
		return nil, err
	}
	return a.ensure(ctx, owner, want)
}

func (a *Applier) ensure(ctx context.Context, owner client.Object, want *unstructured.Unstructured) (client.Object, error) {
	live, err := a.read(ctx, want)
	if apierrors.IsNotFound(err) {
		live, err = a.create(ctx, want)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", describe(want), err)
	}
	if !metav1.IsControlledBy(live, owner) {
		return nil, &NotOursError{Kind: want.GetKind(), Name: want.GetName()}
	}
	return live, nil
}

// render turns an apply configuration into the object to be written, with owner as its
// controller.
func (a *Applier) render(owner client.Object, desired runtime.ApplyConfiguration) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(desired)
	if err != nil {
		return nil, fmt.Errorf("render an apply configuration: %w", err)
	}
	u := &unstructured.Unstructured{Object: content}
	gvk, err := apiutil.GVKForObject(owner, a.Client.Scheme())
	if err != nil {
		return nil, fmt.Errorf("kind of the owner %s: %w", owner.GetName(), err)
	}
	reference := metav1.NewControllerRef(owner, gvk)
	// Children that block the deletion of their owner are deleted first in a foreground
	// deletion, and again whenever they are made anew: a relay could never drain.
	*reference.BlockOwnerDeletion = false
	u.SetOwnerReferences([]metav1.OwnerReference{*reference})
	return u, nil
}

// read gets the live object as its Go type; Secrets from the API server, the rest from the
// cache.
func (a *Applier) read(ctx context.Context, want *unstructured.Unstructured) (client.Object, error) {
	live, err := a.newTyped(want)
	if err != nil {
		return nil, err
	}
	return live, a.readerFor(want.GetKind()).Get(ctx, client.ObjectKeyFromObject(want), live)
}

func (a *Applier) readerFor(kind string) client.Reader {
	if kind == "Secret" {
		return a.Live
	}
	return a.Client
}

func (a *Applier) newTyped(u *unstructured.Unstructured) (client.Object, error) {
	typed, err := a.Client.Scheme().New(u.GroupVersionKind())
	if err != nil {
		return nil, fmt.Errorf("kind of a child: %w", err)
	}
	object, ok := typed.(client.Object)
	if !ok {
		return nil, fmt.Errorf("%T is not an object", typed)
	}
	return object, nil
}

// create makes the object with a Create, which cannot touch one that exists already: where
// apply would merge into a stranger's object, Create is refused.
func (a *Applier) create(ctx context.Context, want *unstructured.Unstructured) (client.Object, error) {
	created := want.DeepCopy()
	err := a.Client.Create(ctx, created, client.FieldOwner(FieldOwner))
	if apierrors.IsAlreadyExists(err) {
		live, typeErr := a.newTyped(want)
		if typeErr != nil {
			return nil, typeErr
		}
		return live, a.Live.Get(ctx, client.ObjectKeyFromObject(want), live)
	}
	if err != nil {
		return nil, err
	}
	return a.toTyped(created)
}

// adopt turns the managed fields of our Create into those of an Apply. Without it the API
// server takes the two for different managers, and a key left out of a later apply stays.
func (a *Applier) adopt(ctx context.Context, live client.Object) (client.Object, error) {
	patch, err := csaupgrade.UpgradeManagedFieldsPatch(live, sets.New(FieldOwner), FieldOwner)
	if err != nil {
		return nil, fmt.Errorf("turn its managed fields to apply: %w", err)
	}
	if patch == nil {
		return live, nil
	}
	return live, a.Client.Patch(ctx, live, client.RawPatch(types.JSONPatchType, patch))
}

// patch applies. The UID makes the API server refuse an object that took the place of the
// one that was read.
func (a *Applier) patch(ctx context.Context, live client.Object, want *unstructured.Unstructured) (client.Object, error) {
	applied := want.DeepCopy()
	applied.SetUID(live.GetUID())
	err := a.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(applied),
		client.FieldOwner(FieldOwner), client.ForceOwnership)
	if err != nil {
		return nil, fmt.Errorf("apply %s: %w", describe(want), err)
	}
	return a.toTyped(applied)
}

func (a *Applier) toTyped(u *unstructured.Unstructured) (client.Object, error) {
	typed, err := a.newTyped(u)
	if err != nil {
		return nil, err
	}
	return typed, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, typed)
}

func describe(u *unstructured.Unstructured) string {
	return u.GetKind() + " " + u.GetName()
}
