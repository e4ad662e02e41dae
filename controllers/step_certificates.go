package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmetav1 "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	cmv1ac "github.com/cert-manager/cert-manager/pkg/client/applyconfigurations/certmanager/v1"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/apply"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// applyCertificates asks cert-manager for the generations of the internal CA that there must
// be, for the certificate of the in-cluster names and, where spec names an issuer, for the one
// of the external names.
func (r *MailRelayReconciler) applyCertificates(ctx context.Context, s *scope) error {
	s.facts.CertManagerInstalled, s.facts.CertManagerMissing = r.CertManager.State()
	if !s.facts.CertManagerInstalled {
		return nil
	}
	return errors.Join(r.applyInternal(ctx, s), s.note(r.applyExternal(ctx, s)))
}

func (r *MailRelayReconciler) applyInternal(ctx context.Context, s *scope) error {
	if !s.trustKnown {
		return nil
	}
	s.rotate()
	signing := s.trust.Signing()
	return errors.Join(
		r.applyAll(ctx, s, resources.SelfSignedIssuer(s.relay)),
		r.applyGeneration(ctx, s, signing),
		r.applyGeneration(ctx, s, s.trust.Newest),
		s.note(r.applyCertificate(ctx, s, resources.Certificate(s.relay, signing, r.Settings.ClusterDomain))))
}

func (r *MailRelayReconciler) applyGeneration(ctx context.Context, s *scope, generation int) error {
	return errors.Join(
		r.applyAll(ctx, s, resources.CAIssuer(s.relay, generation)),
		s.note(r.applyCertificate(ctx, s, resources.CACertificate(s.relay, generation, s.rotationOf(generation)))))
}

// applyCertificate applies a Certificate, unless its Secret belongs to someone else:
// cert-manager would write into it.
func (r *MailRelayReconciler) applyCertificate(ctx context.Context, s *scope, desired *cmv1ac.CertificateApplyConfiguration) error {
	secretName := *desired.Spec.SecretName
	secret, err := secretMetadata(ctx, r.Client, s.relay.Namespace, secretName)
	if err == nil && secret == nil {
		// A cache that lags must not cost anyone a Secret.
		secret, err = secretMetadata(ctx, r.Live, s.relay.Namespace, secretName)
	}
	if err != nil {
		return err
	}
	if secret != nil && !isCertificateSecret(s, secret.Labels) {
		return &apply.NotOursError{Kind: "Secret", Name: secretName}
	}
	live, err := r.applier().Apply(ctx, s.relay, desired)
	if err != nil {
		return err
	}
	s.facts.Certificates = append(s.facts.Certificates, s.certificateFact(live.(*cmv1.Certificate)))
	return nil
}

// isCertificateSecret reports whether cert-manager made a Secret for this relay.
func isCertificateSecret(s *scope, labels map[string]string) bool {
	return labels[resources.CertificateLabel] != "" && labels[resources.RelayLabel] == s.relay.Name
}

// endsSoon is how long before its end a certificate must have been renewed.
const endsSoon = 10 * 24 * time.Hour

// certificateFact trusts only what cert-manager says of the present generation.
func (s *scope) certificateFact(certificate *cmv1.Certificate) readiness.Certificate {
	fact := readiness.Certificate{Name: certificate.Name, Message: "cert-manager has not looked at it yet"}
	for _, c := range certificate.Status.Conditions {
		if c.Type == cmv1.CertificateConditionReady && c.ObservedGeneration == certificate.Generation {
			fact.Ready = c.Status == cmmetav1.ConditionTrue
			fact.Message = c.Message
		}
	}
	leaf := s.trust.Leaf
	fact.Spare = certificate.Name != resources.ExternalName(s.relay) && leaf != nil && leaf.NotAfter.Sub(s.facts.Now) > endsSoon
	return fact
}

// readExternal notes the certificate for external names that pods mount, where cert-manager
// writes it.
func (r *MailRelayReconciler) readExternal(ctx context.Context, s *scope) error {
	if _, copied := s.hashes[resources.ExternalDir]; copied {
		return nil
	}
	if _, err := r.readMounted(ctx, s, resources.ExternalTLSName(s.relay)); err != nil {
		return fmt.Errorf("certificate for external names: %w", err)
	}
	return nil
}
