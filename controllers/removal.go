package controllers

import (
	"context"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// removeChildren removes what would not go by itself, or not in the right order: the pods,
// then the Certificates, then the Secrets that cert-manager wrote for them and would write
// again as long as it sees the Certificates. The other children are garbage collected.
func (r *MailRelayReconciler) removeChildren(ctx context.Context, s *scope) error {
	installed, missing := r.CertManager.State()
	if !installed && !missing {
		// There may be Certificates that cannot be seen yet.
		s.again(establishing)
		return nil
	}
	if err := r.readTrust(ctx, s); err != nil {
		return err
	}
	children := []client.Object{
		&appsv1.StatefulSet{ObjectMeta: named(s.relay, s.relay.Name)},
		&cmv1.Certificate{ObjectMeta: named(s.relay, resources.TLSName(s.relay))},
		&cmv1.Certificate{ObjectMeta: named(s.relay, resources.ExternalName(s.relay))},
	}
	for _, name := range s.caNames() {
		children = append(children, &cmv1.Certificate{ObjectMeta: named(s.relay, name)})
	}
	gone := true
	for _, child := range children {
		if _, certificate := child.(*cmv1.Certificate); certificate && missing {
			continue
		}
		childGone, err := r.applier().Remove(ctx, s.relay, child)
		if err != nil {
			return err
		}
		gone = gone && childGone
	}
	if !gone {
		s.again(firstLook)
		return nil
	}
	if err := r.removeCertificateSecrets(ctx, s); err != nil {
		return err
	}
	return r.release(ctx, s)
}

func (r *MailRelayReconciler) removeCertificateSecrets(ctx context.Context, s *scope) error {
	for _, name := range append(s.caNames(), resources.TLSName(s.relay), resources.ExternalTLSName(s.relay)) {
		if err := r.removeCertificateSecret(ctx, s, name); err != nil {
			return err
		}
	}
	return nil
}

// removeCertificateSecret deletes a Secret that cert-manager wrote, which it leaves behind.
func (r *MailRelayReconciler) removeCertificateSecret(ctx context.Context, s *scope, name string) error {
	secret, err := liveSecret(ctx, r.Live, s.relay.Namespace, name)
	if err != nil || secret == nil || !isCertificateSecret(s, secret.Labels) {
		return err
	}
	return r.applier().Delete(ctx, secret)
}

// release lets the MailRelay go.
func (r *MailRelayReconciler) release(ctx context.Context, s *scope) error {
	patch := client.MergeFromWithOptions(s.relay.DeepCopy(), client.MergeFromWithOptimisticLock{})
	controllerutil.RemoveFinalizer(s.relay, QueueFinalizer)
	return client.IgnoreNotFound(r.Client.Patch(ctx, s.relay, patch))
}

// released reports whether nothing of the relay is left to write to.
func (s *scope) released() bool {
	return s.deleting() && !controllerutil.ContainsFinalizer(s.relay, QueueFinalizer)
}
