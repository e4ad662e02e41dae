package controllers

import (
	"context"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// observingSteps look at a paused relay and change nothing: its mail goes on, and status has
// to tell when it does not.
func (r *MailRelayReconciler) observingSteps() []step {
	return []step{
		do(r.readTrust, v1alpha1.ConditionCertificateReady, v1alpha1.ConditionWorkloadAvailable, v1alpha1.ConditionUpstreamReady, v1alpha1.ConditionQueueHealthy),
		do(r.observeChildren, v1alpha1.ConditionCertificateReady, v1alpha1.ConditionWorkloadAvailable, v1alpha1.ConditionNetworkRestricted),
		do(r.readExternal, v1alpha1.ConditionCertificateReady),
		do(r.observeUpstreams, v1alpha1.ConditionUpstreamReady, v1alpha1.ConditionWorkloadAvailable),
		do(r.observePods, v1alpha1.ConditionWorkloadAvailable, v1alpha1.ConditionUpstreamReady, v1alpha1.ConditionQueueHealthy),
		do(r.publish),
	}
}

// observeChildren notes the children that conditions are about.
func (r *MailRelayReconciler) observeChildren(ctx context.Context, s *scope) error {
	set, policy := &appsv1.StatefulSet{}, &networkingv1.NetworkPolicy{}
	exists, err := r.observe(ctx, s, s.relay.Name, set)
	if err != nil {
		return err
	}
	if exists && set.Spec.Replicas != nil {
		noteWorkload(s, set, *set.Spec.Replicas)
	}
	if s.facts.PolicyApplied, err = r.observe(ctx, s, s.relay.Name, policy); err != nil {
		return err
	}
	s.facts.CertManagerInstalled, s.facts.CertManagerMissing = r.CertManager.State()
	if !s.facts.CertManagerInstalled || !s.trustKnown {
		return nil
	}
	for _, name := range []string{resources.CAName(s.relay, s.trust.Signing()), resources.TLSName(s.relay), resources.ExternalName(s.relay)} {
		certificate := &cmv1.Certificate{}
		exists, err := r.observe(ctx, s, name, certificate)
		if err != nil {
			return err
		}
		if exists {
			s.facts.Certificates = append(s.facts.Certificates, s.certificateFact(certificate))
		}
	}
	return nil
}

// observe reads a child and reports whether it is there and ours.
func (r *MailRelayReconciler) observe(ctx context.Context, s *scope, name string, child client.Object) (bool, error) {
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.relay.Namespace, Name: name}, child)
	return err == nil && metav1.IsControlledBy(child, s.relay), client.IgnoreNotFound(err)
}

func (r *MailRelayReconciler) observeUpstreams(ctx context.Context, s *scope) error {
	_, err := r.readUpstreams(ctx, s)
	return err
}
