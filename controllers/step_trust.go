package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
	if exists {
		s.bundle = []byte(published.Data[resources.CAKey])
	}
	return r.readGenerations(ctx, s)
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

// rotate makes one more generation when it is time, which is all that a rotation is.
func (s *scope) rotate() {
	at := s.rotationTime()
	if at.IsZero() {
		return
	}
	if !at.After(s.facts.Now) {
		s.trust.Newest++
		s.memory.newestCA = s.trust.Newest
		return
	}
	s.again(at.Sub(s.facts.Now))
}

func (s *scope) rotationTime() time.Time {
	asked := s.relay.Annotations[resources.RotateCAAnnotation]
	return s.trust.RotationTime(asked != "" && asked != s.rotationOf(s.trust.Newest), resources.CAOverlap(s.relay))
}

// rotationOf is the value of RotateCAAnnotation that a generation was made for, or is made for
// now.
func (s *scope) rotationOf(number int) string {
	for i := range s.trust.All {
		if g := &s.trust.All[i]; g.Number == number && g.Wanted {
			return g.Rotation
		}
	}
	return s.relay.Annotations[resources.RotateCAAnnotation]
}
