package controllers

import (
	"context"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/trust"
)

// applyTrust takes old generations away once the pods have shown that they need none of them,
// and publishes what apps trust. Without cert-manager nothing changes.
func (r *MailRelayReconciler) applyTrust(ctx context.Context, s *scope) error {
	if !s.facts.CertManagerInstalled || !s.trustKnown {
		return nil
	}
	for i := range s.trust.All {
		if s.trust.All[i].Number < s.trust.Signing() {
			if err := r.retire(ctx, s, &s.trust.All[i]); err != nil {
				return err
			}
		}
	}
	bundle := trust.Encode(s.trust.Apps())
	if len(bundle) == 0 {
		return nil
	}
	if err := r.applyAll(ctx, s, resources.TrustConfigMap(s.relay, bundle)); err != nil {
		return err
	}
	s.bundle = bundle
	s.relay.Status.Trust = trustStatus(s)
	return nil
}

// retire takes a generation that has been replaced from the apps, by taking its Issuer away,
// and removes the rest of it when nothing that it has signed is valid any more.
func (r *MailRelayReconciler) retire(ctx context.Context, s *scope, generation *trust.Generation) error {
	name := resources.CAName(s.relay, generation.Number)
	if generation.Issues {
		if !s.trust.TakenOver() || !everyPodShowsLeaf(s) {
			return nil
		}
		_, err := r.applier().Remove(ctx, s.relay, &cmv1.Issuer{ObjectMeta: named(s.relay, name)})
		generation.Issues = err != nil
		return err
	}
	if generation.Wanted && !s.trust.Expired(generation.Number, resources.LeafDuration, s.facts.Now) {
		return nil
	}
	gone, err := r.applier().Remove(ctx, s.relay, &cmv1.Certificate{ObjectMeta: named(s.relay, name)})
	if err != nil || !gone {
		return err
	}
	delete(s.memory.secrets, name)
	return r.removeCertificateSecret(ctx, s, name)
}

// everyPodShowsLeaf reports whether each pod that runs, or may be about to, shows its clients
// the newest certificate.
func everyPodShowsLeaf(s *scope) bool {
	if !s.podsKnown {
		return false
	}
	for i := range s.facts.Pods {
		if phase := s.pods[i].Status.Phase; phase == corev1.PodSucceeded || phase == corev1.PodFailed {
			continue
		}
		if !showsLeaf(s, &s.facts.Pods[i]) {
			return false
		}
	}
	return true
}

func trustStatus(s *scope) *v1alpha1.TrustStatus {
	status := &v1alpha1.TrustStatus{ConfigMapName: resources.TrustName(s.relay)}
	if at := s.rotationTime(); !at.IsZero() {
		status.NextRotation = &metav1.Time{Time: at}
	}
	for i := range s.trust.All {
		g := &s.trust.All[i]
		shown := v1alpha1.CAGeneration{Generation: int32(g.Number), Role: string(s.trust.Role(g))}
		if g.Certificate != nil {
			shown.NotAfter = &metav1.Time{Time: g.Certificate.NotAfter}
		}
		status.Generations = append(status.Generations, shown)
	}
	return status
}
