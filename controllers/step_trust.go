package controllers

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/apply"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/trust"
)

// readTrust reads the generations of the internal CA, the certificate that comes from it, and
// what apps were last told to trust.
func (r *MailRelayReconciler) readTrust(ctx context.Context, s *scope) error {
	shown, err := r.readMounted(ctx, s, resources.TLSName(s.relay))
	if err != nil {
		return err
	}
	s.trust.Leaf, s.trust.LeafCA = trust.Parse(shown.certificate), trust.Parse(shown.ca)
	s.facts.CertificateLoaded = len(shown.ca) > 0 && shown.keys[corev1.TLSCertKey] && shown.keys[corev1.TLSPrivateKeyKey]
	published := &corev1.ConfigMap{}
	exists, err := r.observe(ctx, s, resources.TrustName(s.relay), published)
	if err != nil {
		return err
	}
	if err := r.readGenerations(ctx, s); err != nil {
		return err
	}
	s.trustKnown = true
	if !exists {
		return nil
	}
	s.bundle = []byte(published.Data[resources.CAKey])
	if next := s.trust.Next(); next != nil && bytes.Contains(s.bundle, trust.Encode([]*x509.Certificate{next})) {
		s.trust.Published = lastWrite(published)
	}
	return nil
}

// lastWrite is when the operator last changed an object.
func lastWrite(object client.Object) time.Time {
	last := object.GetCreationTimestamp().Time
	for _, entry := range object.GetManagedFields() {
		if entry.Manager == apply.FieldOwner && entry.Time != nil && entry.Time.After(last) {
			last = entry.Time.Time
		}
	}
	return last
}

// readGenerations finds the generations by the objects that they are made of.
func (r *MailRelayReconciler) readGenerations(ctx context.Context, s *scope) error {
	found := map[int]*trust.Generation{}
	err := r.eachOfGenerations(ctx, s, func(number int, object client.Object) error {
		if found[number] == nil {
			found[number] = &trust.Generation{Number: number}
		}
		switch object.(type) {
		case *cmv1.Issuer:
			found[number].Issues = true
		case *cmv1.Certificate:
			found[number].Wanted = true
			found[number].Rotation = object.GetAnnotations()[resources.RotateCAAnnotation]
		default:
			secret, err := r.readSecret(ctx, s, object.GetName())
			found[number].Certificate = trust.Parse(secret.certificate)
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.trust.All, s.trust.Newest = nil, max(2, s.memory.newestCA, s.trust.Newest)
	for number, generation := range found {
		s.trust.All = append(s.trust.All, *generation)
		s.trust.Newest = max(s.trust.Newest, number)
	}
	slices.SortFunc(s.trust.All, func(a, b trust.Generation) int { return a.Number - b.Number })
	s.memory.newestCA = s.trust.Newest
	return nil
}

// eachOfGenerations shows all Issuers, Certificates and Secrets that generations are made of.
func (r *MailRelayReconciler) eachOfGenerations(ctx context.Context, s *scope, show func(int, client.Object) error) error {
	secrets := &metav1.PartialObjectMetadataList{}
	secrets.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	issuers, certificates := &cmv1.IssuerList{}, &cmv1.CertificateList{}
	lists := []client.ObjectList{secrets}
	if installed, _ := r.CertManager.State(); installed {
		lists = append(lists, issuers, certificates)
	}
	for _, list := range lists {
		if err := r.Client.List(ctx, list, client.InNamespace(s.relay.Namespace),
			client.MatchingLabels{resources.RelayLabel: s.relay.Name}, client.HasLabels{resources.GenerationLabel}); err != nil {
			return fmt.Errorf("list the generations of the CA: %w", err)
		}
	}
	var objects []client.Object
	for i := range issuers.Items {
		objects = append(objects, &issuers.Items[i])
	}
	for i := range certificates.Items {
		objects = append(objects, &certificates.Items[i])
	}
	objects = slices.DeleteFunc(objects, func(o client.Object) bool { return !metav1.IsControlledBy(o, s.relay) })
	for i := range secrets.Items {
		objects = append(objects, &secrets.Items[i])
	}
	for _, object := range objects {
		number := resources.CAGeneration(object)
		if object.GetName() != resources.CAName(s.relay, number) {
			continue
		}
		if err := show(number, object); err != nil {
			return err
		}
	}
	return nil
}

// caNames are the names of all generations.
func (s *scope) caNames() []string {
	var names []string
	for i := range s.trust.All {
		names = append(names, resources.CAName(s.relay, s.trust.All[i].Number))
	}
	return names
}
