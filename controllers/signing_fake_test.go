package controllers

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net/url"
	"testing"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmetav1 "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// signClient signs for the client with the names and for the key, from and until then.
func signClient(ca *tls.Certificate, uris []*url.URL, key any, from, until time.Time) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, URIs: uris, NotBefore: from, NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Leaf, key, ca.PrivateKey)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}

// deniedLabel on a namespace has an approval policy deny all requests in it.
const deniedLabel = "test/denied"

// answer does cert-manager's part of a CertificateRequest, and that of who approves them.
func answer(ctx context.Context, c client.Client, request *cmv1.CertificateRequest) error {
	namespace := &corev1.Namespace{}
	if err := c.Get(ctx, client.ObjectKey{Name: request.Namespace}, namespace); err != nil {
		return err
	}
	if len(request.Status.Conditions) > 0 || namespace.Labels[heldLabel] != "" {
		return nil
	}
	if namespace.Labels[deniedLabel] != "" {
		request.Status.Conditions = []cmv1.CertificateRequestCondition{
			{Type: cmv1.CertificateRequestConditionDenied, Status: cmmetav1.ConditionTrue, Reason: "Policy", Message: "no policy allows it"},
			{Type: cmv1.CertificateRequestConditionReady, Status: cmmetav1.ConditionFalse, Reason: cmv1.CertificateRequestReasonDenied},
		}
		return c.Status().Update(ctx, request)
	}
	block, _ := pem.Decode(request.Spec.Request)
	if block == nil {
		return errors.New("no PEM")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return err
	}
	ca, err := caOf(ctx, c, client.ObjectKey{Namespace: request.Namespace, Name: request.Spec.IssuerRef.Name})
	if err != nil || ca == nil {
		return err
	}
	request.Status.Certificate, err = signClient(ca, csr.URIs, csr.PublicKey, time.Now(), time.Now().Add(request.Spec.Duration.Duration))
	if err != nil {
		return err
	}
	request.Status.Conditions = []cmv1.CertificateRequestCondition{
		{Type: cmv1.CertificateRequestConditionReady, Status: cmmetav1.ConditionTrue, Reason: cmv1.CertificateRequestReasonIssued},
	}
	return c.Status().Update(ctx, request)
}

// requests are the CertificateRequests in a namespace.
func (c *cluster) requests(t *testing.T, namespace string) []cmv1.CertificateRequest {
	t.Helper()
	list := &cmv1.CertificateRequestList{}
	if err := c.List(t.Context(), list, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	return list.Items
}
