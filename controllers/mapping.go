package controllers

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// Fields by which the cache finds objects.
const (
	// indexUserRelay finds RelayUsers by the relay they name.
	indexUserRelay = "spec.relayRef"
	// indexRelaySecret finds MailRelays by the Secrets they refer to.
	indexRelaySecret = "spec.secretRefs"
)

// AddIndexes adds the fields by which the cache finds objects.
func AddIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	err := indexer.IndexField(ctx, &v1alpha1.RelayUser{}, indexUserRelay, func(object client.Object) []string {
		relay := relayRef(object.(*v1alpha1.RelayUser))
		return []string{relayKey(relay.Namespace, relay.Name)}
	})
	if err != nil {
		return err
	}
	return indexer.IndexField(ctx, &v1alpha1.MailRelay{}, indexRelaySecret, func(object client.Object) []string {
		return referencedSecrets(object.(*v1alpha1.MailRelay))
	})
}

func relayKey(namespace, name string) string { return namespace + "/" + name }

// relayRef is the relay that a user names.
func relayRef(user *v1alpha1.RelayUser) types.NamespacedName {
	ref := types.NamespacedName{Namespace: user.Spec.RelayRef.Namespace, Name: user.Spec.RelayRef.Name}
	if ref.Namespace == "" {
		ref.Namespace = user.Namespace
	}
	return ref
}

// relayOfLabel finds the relay of a child by its label.
func relayOfLabel(_ context.Context, object client.Object) []reconcile.Request {
	return requestFor(object, resources.RelayLabel)
}

func relayOfUser(_ context.Context, object client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: relayRef(object.(*v1alpha1.RelayUser))}}
}

// relaysOfSecret finds whom a Secret concerns: the relay whose child it is, the relay of the
// user whose credentials it holds, and the relays that refer to it.
func (r *MailRelayReconciler) relaysOfSecret(ctx context.Context, secret client.Object) []reconcile.Request {
	requests := requestFor(secret, resources.RelayLabel)
	if name := secret.GetLabels()[resources.UserLabel]; name != "" {
		user := &v1alpha1.RelayUser{}
		if err := r.Client.Get(ctx, types.NamespacedName{Namespace: secret.GetNamespace(), Name: name}, user); err == nil {
			requests = append(requests, reconcile.Request{NamespacedName: relayRef(user)})
		}
	}
	relays := &v1alpha1.MailRelayList{}
	if err := r.Client.List(ctx, relays, client.InNamespace(secret.GetNamespace()),
		client.MatchingFields{indexRelaySecret: secret.GetName()}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "find the MailRelays that refer to a Secret", "secret", secret.GetName())
	}
	for i := range relays.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&relays.Items[i])})
	}
	return requests
}

// relaysOfNamespace finds the relays in a namespace, which may be on its way out, and those
// that choose namespaces by label.
func (r *MailRelayReconciler) relaysOfNamespace(ctx context.Context, namespace client.Object) []reconcile.Request {
	relays := &v1alpha1.MailRelayList{}
	if err := r.Client.List(ctx, relays); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "find the MailRelays that a namespace concerns", "namespace", namespace.GetName())
	}
	var requests []reconcile.Request
	for i := range relays.Items {
		relay := &relays.Items[i]
		if relay.Namespace == namespace.GetName() || selectsNamespaces(relay) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(relay)})
		}
	}
	return requests
}

func selectsNamespaces(relay *v1alpha1.MailRelay) bool {
	if relay.Spec.Access == nil {
		return false
	}
	for i := range relay.Spec.Access.Rules {
		if n := relay.Spec.Access.Rules[i].Namespaces; n != nil && n.Selector != nil {
			return true
		}
	}
	return false
}

// requestFor asks for the object in the same namespace that a label names.
func requestFor(object client.Object, label string) []reconcile.Request {
	name := object.GetLabels()[label]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: name}}}
}
