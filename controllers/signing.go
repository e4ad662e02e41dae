package controllers

import (
	"context"
	"fmt"
	"slices"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmetav1 "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// signed returns the certificate that a request got, or why it gets none. Both are empty while
// it is under way.
func signed(request *cmv1.CertificateRequest) (certificate []byte, refusal string) {
	for _, c := range request.Status.Conditions {
		switch {
		case c.Type == cmv1.CertificateRequestConditionDenied && c.Status == cmmetav1.ConditionTrue:
			return nil, "an approval policy denied it: " + c.Message
		case c.Type == cmv1.CertificateRequestConditionInvalidRequest && c.Status == cmmetav1.ConditionTrue,
			c.Type == cmv1.CertificateRequestConditionReady && c.Reason == cmv1.CertificateRequestReasonFailed:
			return nil, "it failed: " + c.Message
		case c.Type == cmv1.CertificateRequestConditionReady && c.Status == cmmetav1.ConditionTrue:
			certificate = request.Status.Certificate
		}
	}
	return certificate, ""
}

// removeRequests deletes the requests for client certificates that no key waits for: those that
// were answered or given up, and those of an operator that ended with its keys.
func (r *MailRelayReconciler) removeRequests(ctx context.Context, s *scope) error {
	if installed, _ := r.CertManager.State(); !installed {
		return nil
	}
	requests := &cmv1.CertificateRequestList{}
	// cert-manager gives the requests for a Certificate the labels of that.
	if err := r.Client.List(ctx, requests, client.InNamespace(s.relay.Namespace),
		client.MatchingLabels{resources.RelayLabel: s.relay.Name}, client.HasLabels{resources.UserNamespaceLabel}); err != nil {
		return fmt.Errorf("list CertificateRequests: %w", err)
	}
	for i := range requests.Items {
		request := &requests.Items[i]
		if !metav1.IsControlledBy(request, s.relay) || r.Keys.awaits(request.Name, userOfRequest(request)) {
			continue
		}
		if err := r.applier().Delete(ctx, request); err != nil {
			return err
		}
	}
	return nil
}

func userOfRequest(request client.Object) types.NamespacedName {
	labels := request.GetLabels()
	return types.NamespacedName{Namespace: labels[resources.UserNamespaceLabel], Name: labels[resources.UserLabel]}
}

// userOfSigning finds the user whose key a CertificateRequest is for.
func userOfSigning(_ context.Context, request client.Object) []reconcile.Request {
	user := userOfRequest(request)
	if user.Namespace == "" || user.Name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: user}}
}

// certificateNames are the names in client certificates that the relay takes a user by: that of
// the key in its Secret, that of the one before during the overlap, and that of a key that is not
// in the Secret yet, so that an app finds none there that the relay does not know.
func (r *MailRelayReconciler) certificateNames(user *v1alpha1.RelayUser, known *proofs) []string {
	if !resources.Uses(user, v1alpha1.KindClientCertificate) {
		return nil
	}
	keys := known.keys
	if next := r.Keys.of(user); next != nil {
		keys = append(keys[:len(keys):len(keys)], next.name)
	}
	var names []string
	for i, key := range keys {
		if key != "" && !slices.Contains(keys[:i], key) {
			names = append(names, resources.ClientName(user, key))
		}
	}
	return names
}
