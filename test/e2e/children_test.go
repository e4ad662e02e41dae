//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// childKinds are the kinds that a relay brings with it, directly or by another controller.
var childKinds = []schema.GroupVersionKind{
	{Version: "v1", Kind: "Secret"},
	{Version: "v1", Kind: "ConfigMap"},
	{Version: "v1", Kind: "Service"},
	{Version: "v1", Kind: "ServiceAccount"},
	{Version: "v1", Kind: "PersistentVolumeClaim"},
	{Version: "v1", Kind: "Pod"},
	{Group: "apps", Version: "v1", Kind: "StatefulSet"},
	{Group: "apps", Version: "v1", Kind: "ControllerRevision"},
	{Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"},
	{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"},
	{Group: "discovery.k8s.io", Version: "v1", Kind: "EndpointSlice"},
	{Group: "cert-manager.io", Version: "v1", Kind: "Issuer"},
	{Group: "cert-manager.io", Version: "v1", Kind: "Certificate"},
	{Group: "cert-manager.io", Version: "v1", Kind: "CertificateRequest"},
	{Group: "mailrelay.dev", Version: "v1alpha1", Kind: "MailRelay"},
	{Group: "mailrelay.dev", Version: "v1alpha1", Kind: "RelayUser"},
}

func newList(kind schema.GroupVersionKind) *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	return list
}

// inventory is the resource version of every object of these kinds in the namespace.
func (s *site) inventory(ctx context.Context) (map[string]string, error) {
	found := map[string]string{}
	var errs []error
	for _, kind := range childKinds {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		errs = append(errs, s.List(ctx, list, client.InNamespace(s.namespace)), meta.EachListItem(list, func(item runtime.Object) error {
			object := item.(*metav1.PartialObjectMetadata)
			found[fmt.Sprintf("%s %s", kind.Kind, object.Name)] = object.ResourceVersion
			return nil
		}))
	}
	return found, errors.Join(errs...)
}
