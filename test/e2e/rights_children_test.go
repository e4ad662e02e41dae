//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmetav1 "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

const (
	notItsChild   = "the operator may change and delete no ConfigMap and nothing of cert-manager but what it made"
	unlabeledKind = "what the operator makes carries the label"
	noIssuer      = "the operator may make no Issuers but those of the internal CAs of relays"
	noRequest     = "the operator may ask for no certificates of clients but from the internal CAs of relays"
)

func TestOperatorMayConfigureAndSignNothingForOthers(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "rights-ca")
	s.startRelay(t, p, newRelay(p))
	s.create(t, foreignIssuer(), foreignCertificate())
	o := operator{s, s.asOperator(t)}
	mustBeDecided(t, []attempt{
		{"change a foreign ConfigMap", o.patch(t, &corev1.ConfigMap{ObjectMeta: o.name("kube-root-ca.crt")}), notItsChild},
		{"change one of the system", o.patch(t, &corev1.ConfigMap{ObjectMeta: o.in("kube-system").name("kube-root-ca.crt")}), notItsChild},
		{"change what apps trust", o.patch(t, &corev1.ConfigMap{ObjectMeta: o.name("mail-ca")}), ""},
		{"make a ConfigMap without the label", o.make(t, &corev1.ConfigMap{}, nil), unlabeledKind},
		{"make a ConfigMap", o.make(t, &corev1.ConfigMap{}, ourLabel), ""},
		{"change a foreign Issuer", o.patch(t, foreignIssuer()), notItsChild},
		{"delete a foreign Issuer", o.delete(t, foreignIssuer()), notItsChild},
		{"change the relay's Issuer", o.patch(t, &cmv1.Issuer{ObjectMeta: o.name("mail-ca-1")}), ""},
		{"delete the relay's Issuer", o.delete(t, &cmv1.Issuer{ObjectMeta: o.name("mail-ca-1")}), ""},
		{"make an Issuer of the internal CA", o.make(t, caIssuer("mail-ca-3"), ourLabel), ""},
		{"make an Issuer that signs for itself", o.make(t, foreignIssuer(), ourLabel), ""},
		{"make an Issuer of another CA", o.make(t, caIssuer("corporate"), ourLabel), noIssuer},
		{"make an Issuer without the label", o.make(t, caIssuer("mail-ca-3"), nil), unlabeledKind},
		{"change a foreign Certificate", o.patch(t, foreignCertificate()), notItsChild},
		{"delete a foreign Certificate", o.delete(t, foreignCertificate()), notItsChild},
		{"change the relay's Certificate", o.patch(t, &cmv1.Certificate{ObjectMeta: o.name("mail-tls")}), ""},
		{"have a client's certificate signed", o.make(t, request(t, "mail-ca-1", cmv1.IssuerKind), ourLabel), ""},
		{"have one signed by another Issuer", o.make(t, request(t, "corporate", cmv1.IssuerKind), ourLabel), noRequest},
		{"have one signed by the cluster's", o.make(t, request(t, "corporate-ca-1", cmv1.ClusterIssuerKind), ourLabel), noRequest},
		{"have one signed without the label", o.make(t, request(t, "mail-ca-1", cmv1.IssuerKind), nil), unlabeledKind},
	})
}

func foreignIssuer() *cmv1.Issuer {
	return &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Name: "foreign"},
		Spec: cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{SelfSigned: &cmv1.SelfSignedIssuer{}}}}
}

func caIssuer(secret string) *cmv1.Issuer {
	return &cmv1.Issuer{Spec: cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: secret}}}}
}

func foreignCertificate() *cmv1.Certificate {
	return &cmv1.Certificate{ObjectMeta: metav1.ObjectMeta{Name: "foreign"}, Spec: cmv1.CertificateSpec{
		SecretName: "foreign-tls", DNSNames: []string{"foreign.example"}, IssuerRef: cmmetav1.IssuerReference{Name: "foreign"},
	}}
}

func request(t *testing.T, issuer, kind string) *cmv1.CertificateRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := resources.SigningRequest(&v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: "e2e", Name: "app"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return &cmv1.CertificateRequest{Spec: cmv1.CertificateRequestSpec{
		IssuerRef: cmmetav1.IssuerReference{Name: issuer, Kind: kind, Group: "cert-manager.io"},
		Request:   wanted, Usages: []cmv1.KeyUsage{cmv1.UsageClientAuth, cmv1.UsageDigitalSignature},
	}}
}

func (o operator) name(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: o.namespace, Name: name}
}

// patch sets an annotation.
func (o operator) patch(t *testing.T, object client.Object) error {
	t.Helper()
	if object.GetNamespace() == "" {
		object.SetNamespace(o.namespace)
	}
	if err := o.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		t.Fatal(err)
	}
	before := object.DeepCopyObject().(client.Object)
	object.SetAnnotations(map[string]string{"e2e": "x"})
	return o.api.Patch(t.Context(), object, client.MergeFrom(before))
}

func (o operator) make(t *testing.T, object client.Object, labels map[string]string) error {
	t.Helper()
	object.SetNamespace(o.namespace)
	object.SetName("e2e-new")
	object.SetLabels(labels)
	return o.api.Create(t.Context(), object)
}

func (o operator) delete(t *testing.T, object client.Object) error {
	t.Helper()
	object.SetNamespace(o.namespace)
	return o.api.Delete(t.Context(), object)
}
