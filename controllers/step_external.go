package controllers

import (
	"context"
	"errors"
	"fmt"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// applyExternal sees to the certificate of the external names: from an issuer, from a Secret,
// or none.
func (r *MailRelayReconciler) applyExternal(ctx context.Context, s *scope) error {
	desired := resources.ExternalCertificate(s.relay)
	if desired != nil {
		// A copy of an earlier secretRef would be in the way.
		if err := r.removeCopiedSecret(ctx, s); err != nil {
			return err
		}
		if err := r.applyCertificate(ctx, s, desired); err != nil {
			return err
		}
		if last := s.facts.Certificates[len(s.facts.Certificates)-1]; !last.Ready {
			return r.findIssuer(ctx, s, s.relay.Spec.TLS.IssuerRef)
		}
		return nil
	}
	gone, err := r.applier().Remove(ctx, s.relay, &cmv1.Certificate{ObjectMeta: named(s.relay, resources.ExternalName(s.relay))})
	if err != nil || !gone {
		return err
	}
	if s.relay.Spec.TLS != nil && s.relay.Spec.TLS.SecretRef != nil {
		return r.copyExternal(ctx, s, s.relay.Spec.TLS.SecretRef.Name)
	}
	return r.removeExternalSecret(ctx, s)
}

// findIssuer says so when the issuer is missing: cert-manager itself only says that it waits.
// Issuers of other groups are not known here.
func (r *MailRelayReconciler) findIssuer(ctx context.Context, s *scope, ref *v1alpha1.IssuerReference) error {
	kind, group := resources.IssuerKind(ref)
	if group != cmv1.SchemeGroupVersion.Group {
		return nil
	}
	issuer := &metav1.PartialObjectMetadata{}
	issuer.SetGroupVersionKind(cmv1.SchemeGroupVersion.WithKind(kind))
	key := types.NamespacedName{Name: ref.Name}
	if kind == cmv1.IssuerKind {
		key.Namespace = s.relay.Namespace
	}
	err := r.Live.Get(ctx, key, issuer)
	if apierrors.IsNotFound(err) {
		s.facts.ExternalProblem = fmt.Sprintf(
			"spec.tls.issuerRef names %s %s, which does not exist: create it, or change the reference; the relay goes on by itself", kind, ref.Name)
		return nil
	}
	return err
}

// meanwhile is what becomes of clients until a person has mended the Secret.
const meanwhile = "until then clients are shown what was last good, if anything"

// copyExternal copies the certificate of a person's Secret into the one that pods mount.
func (r *MailRelayReconciler) copyExternal(ctx context.Context, s *scope, name string) error {
	source, err := liveSecret(ctx, r.Live, s.relay.Namespace, name)
	if err != nil {
		return err
	}
	if source == nil {
		s.facts.ExternalProblem = fmt.Sprintf(
			"spec.tls.secretRef names Secret %s, which does not exist: create it with tls.crt and tls.key; %s", name, meanwhile)
		return nil
	}
	if problem := checkExternal(source, s.relay.Spec.TLS, s.facts.Now); problem != "" {
		s.facts.ExternalInvalid = problem + "; " + meanwhile
		return nil
	}
	if err := r.removeIssuedSecret(ctx, s); err != nil {
		return err
	}
	return r.applyMounted(ctx, s, resources.ExternalTLSSecret(s.relay, source.Data))
}

// removeExternalSecret takes the certificate away from the pods when none is asked for.
func (r *MailRelayReconciler) removeExternalSecret(ctx context.Context, s *scope) error {
	return errors.Join(r.removeIssuedSecret(ctx, s), r.removeCopiedSecret(ctx, s))
}

// removeIssuedSecret deletes what cert-manager once wrote under the name.
func (r *MailRelayReconciler) removeIssuedSecret(ctx context.Context, s *scope) error {
	secret, err := secretMetadata(ctx, r.Client, s.relay.Namespace, resources.ExternalTLSName(s.relay))
	if err != nil || secret == nil || !isCertificateSecret(s, secret.Labels) {
		return err
	}
	return r.applier().Delete(ctx, secret)
}

// removeCopiedSecret deletes what copyExternal once wrote under the name.
func (r *MailRelayReconciler) removeCopiedSecret(ctx context.Context, s *scope) error {
	metadata, err := secretMetadata(ctx, r.Client, s.relay.Namespace, resources.ExternalTLSName(s.relay))
	if err != nil || metadata == nil || isCertificateSecret(s, metadata.Labels) {
		return err
	}
	secret, err := liveSecret(ctx, r.Live, s.relay.Namespace, metadata.Name)
	if err != nil || secret == nil || !metav1.IsControlledBy(secret, s.relay) {
		return err
	}
	return r.applier().Delete(ctx, secret)
}
