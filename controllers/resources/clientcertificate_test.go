package resources

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"reflect"
	"testing"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmetav1 "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

func TestRequestIsForTheUserAndItsKeyAlone(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}}
	csr, err := SigningRequest(user, key)
	if err != nil {
		t.Fatal(err)
	}
	name, err := KeyName(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(csr)
	if block == nil {
		t.Fatalf("request is %q", csr)
	}
	asked, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := asked.CheckSignature(); err != nil {
		t.Error(err)
	}
	if uri := "mailrelay://shop/app/" + name; len(asked.URIs) != 1 || asked.URIs[0].String() != uri || ClientName(user, name) != "URI:"+uri {
		t.Errorf("it asks for %v, want %s", asked.URIs, uri)
	}
	if len(asked.DNSNames)+len(asked.EmailAddresses)+len(asked.IPAddresses) > 0 || asked.Subject.CommonName != "" {
		t.Errorf("it asks for the names %v, %v, %q besides", asked.DNSNames, asked.EmailAddresses, asked.Subject)
	}
}

func TestRequestIsSignedInTheRelaysNamespaceForClientsOnly(t *testing.T) {
	t.Parallel()
	relay, user := testRelay(), &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}}
	name := RequestName(relay, "sha256:00112233445566778899")
	request := render[cmv1.CertificateRequest](t, ClientCertificateRequest(relay, user, name, "relay-ca", []byte("a request")))
	if request.Namespace != relay.Namespace || request.Name != relay.Name+"-client-2233445566778899" {
		t.Errorf("it is %s/%s", request.Namespace, request.Name)
	}
	want := cmv1.CertificateRequestSpec{
		Request: []byte("a request"), Duration: &metav1.Duration{Duration: 90 * 24 * time.Hour},
		IssuerRef: cmmetav1.IssuerReference{Name: "relay-ca", Kind: "Issuer", Group: "cert-manager.io"},
		Usages:    []cmv1.KeyUsage{cmv1.UsageClientAuth, cmv1.UsageDigitalSignature},
	}
	if !reflect.DeepEqual(request.Spec, want) {
		t.Errorf("it asks for %+v", request.Spec)
	}
	if l := request.Labels; l[RelayLabel] != relay.Name || l[UserLabel] != "app" || l[UserNamespaceLabel] != "shop" || l[ManagedByLabel] != ManagedBy {
		t.Errorf("labels %v", l)
	}
}

func TestClientPairIsInTheSecretAndItsRecordIsReadBack(t *testing.T) {
	t.Parallel()
	user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}}
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	record := KeyRecord{Issuer: "relay-ca", Issued: now, PreviousUntil: now.Add(time.Hour), Renewed: true, Rotate: "1", Leaked: "2"}
	secret := render[corev1.Secret](t, CredentialsSecret(testRelay(), user, Credentials{
		CA: []byte("CA"), Client: &ClientPair{Certificate: []byte("certificate"), Key: []byte("key")},
		Annotations: map[string]string{KeyAnnotation: record.String()},
	}))
	if string(secret.Data["tls.crt"]) != "certificate" || string(secret.Data["tls.key"]) != "key" || string(secret.Data["tls"]) != "implicit" {
		t.Errorf("keys are %q, %q, %q", secret.Data["tls.crt"], secret.Data["tls.key"], secret.Data["tls"])
	}
	if got := ParseKeyRecord(secret.Annotations[KeyAnnotation]); got != record {
		t.Errorf("the record is %+v", got)
	}
	if got := ParseKeyRecord("no JSON"); got != (KeyRecord{}) {
		t.Errorf("a record that cannot be read is %+v", got)
	}
}
