package apply

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Remove deletes the object of that name, if it is there and controlled by owner. It reports
// whether the object is gone; a deletion takes effect later where finalizers hold it.
func (a *Applier) Remove(ctx context.Context, owner, object client.Object) (gone bool, err error) {
	err = a.Client.Get(ctx, client.ObjectKeyFromObject(object), object)
	switch {
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("read %s: %w", object.GetName(), err)
	case !metav1.IsControlledBy(object, owner):
		return true, nil
	default:
		return false, a.Delete(ctx, object)
	}
}

// Delete deletes an object that was read before, and only that one: not another that took
// its name since. Its dependents go in the background.
func (a *Applier) Delete(ctx context.Context, object client.Object) error {
	if !object.GetDeletionTimestamp().IsZero() {
		return nil
	}
	uid := object.GetUID()
	err := a.Client.Delete(ctx, object, client.Preconditions{UID: &uid},
		client.PropagationPolicy(metav1.DeletePropagationBackground))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete %s: %w", object.GetName(), err)
	}
	return nil
}
