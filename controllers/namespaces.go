package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// namespaceMetadata reads from the cache what it keeps of a namespace; nothing of one that is
// gone.
func namespaceMetadata(ctx context.Context, reader client.Reader, name string) (*metav1.PartialObjectMetadata, error) {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := reader.Get(ctx, client.ObjectKey{Name: name}, namespace); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("look for namespace %s: %w", name, err)
	}
	return namespace, nil
}

// ends reports whether a namespace is being deleted.
func ends(namespace *metav1.PartialObjectMetadata) bool { return !namespace.DeletionTimestamp.IsZero() }
