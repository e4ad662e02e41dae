package controllers

import (
	"context"
	"fmt"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmetav1 "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

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
	for user := range s.memory.refused {
		if !r.Keys.underWay(user) {
			delete(s.memory.refused, user)
		}
	}
	for i := range requests.Items {
		request := &requests.Items[i]
		if !metav1.IsControlledBy(request, s.relay) {
			continue
		}
		if user := userOfRequest(request); r.Keys.awaits(request.Name, user) {
			r.tellOfRefusal(s, request, user)
			continue
		}
		if err := r.applier().Delete(ctx, request); err != nil {
			return err
		}
	}
	return nil
}

// tellOfRefusal tells the relay's owner, once, why a request of a user of another namespace gets
// no certificate: that user is not told what others say in the relay's namespace. Another request
// that is refused for the same is no news.
func (r *MailRelayReconciler) tellOfRefusal(s *scope, request *cmv1.CertificateRequest, user types.NamespacedName) {
	_, why := signed(request)
	if why == "" || user.Namespace == s.relay.Namespace {
		return
	}
	if s.memory.refused[user] != why {
		s.memory.refused[user] = why
		r.Events.Eventf(s.relay, nil, corev1.EventTypeWarning, "CertificateRefused", "Sign", "%s", clip(fmt.Sprintf(
			"RelayUser %s gets no client certificate from CertificateRequest %s: %s; change what refuses it", user, request.Name, why)))
	}
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
