package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
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

// tooEarly reports whether to leave a relay until it is woken: in a namespace that ends it is
// deleted next, and right after the operator's start nothing could be said of certificates.
func (r *MailRelayReconciler) tooEarly(relay *v1alpha1.MailRelay, namespace *metav1.PartialObjectMetadata) bool {
	return ends(namespace) && relay.DeletionTimestamp.IsZero() || !r.CertManager.Known()
}
