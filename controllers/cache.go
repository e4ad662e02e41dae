package controllers

import (
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// CacheOptions keep the operator's memory from growing with what others have in the cluster:
// of most kinds only what carries our label is cached. Of Secrets, whose names users choose,
// all are, but nothing of their content.
func CacheOptions() cache.Options {
	everything := cache.ByObject{Label: labels.Everything()}
	bare := cache.ByObject{Label: labels.Everything(), Transform: stripMetadata}
	return cache.Options{
		DefaultLabelSelector: labels.SelectorFromSet(labels.Set{resources.ManagedByLabel: resources.ManagedBy}),
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.MailRelay{}:                       everything,
			&v1alpha1.RelayUser{}:                       everything,
			&corev1.Secret{}:                            bare,
			&corev1.Namespace{}:                         bare,
			&apiextensionsv1.CustomResourceDefinition{}: bare,
			&corev1.Pod{}:                               {Transform: cache.TransformStripManagedFields()},
		},
	}
}

// stripMetadata keeps of an object what identifies it and its version, and its labels.
func stripMetadata(object any) (any, error) {
	full, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		// A tombstone of a missed deletion; it is on its way out.
		return object, nil
	}
	return &metav1.PartialObjectMetadata{
		TypeMeta: full.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{
			Name:              full.Name,
			Namespace:         full.Namespace,
			UID:               full.UID,
			ResourceVersion:   full.ResourceVersion,
			Labels:            full.Labels,
			DeletionTimestamp: full.DeletionTimestamp,
		},
	}, nil
}
