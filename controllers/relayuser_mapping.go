package controllers

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// usersOfRelay finds the users of a relay.
func (r *RelayUserReconciler) usersOfRelay(ctx context.Context, relay client.Object) []reconcile.Request {
	return r.find(ctx, client.MatchingFields{indexUserRelay: relayKey(relay.GetNamespace(), relay.GetName())})
}

// usersOfNamespace finds the users in a namespace, whose labels may decide on their access.
func (r *RelayUserReconciler) usersOfNamespace(ctx context.Context, namespace client.Object) []reconcile.Request {
	return r.find(ctx, client.InNamespace(namespace.GetName()))
}

func (r *RelayUserReconciler) find(ctx context.Context, which client.ListOption) []reconcile.Request {
	users := &v1alpha1.RelayUserList{}
	if err := r.Client.List(ctx, users, which); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "find RelayUsers")
	}
	requests := make([]reconcile.Request, 0, len(users.Items))
	for i := range users.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&users.Items[i])})
	}
	return requests
}

// userOfSecret finds the user whose credentials a Secret holds.
func userOfSecret(_ context.Context, secret client.Object) []reconcile.Request {
	return requestFor(secret, resources.UserLabel)
}
