package controllers

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmetav1 "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// heldLabel on a namespace keeps issueForever from it.
const heldLabel = "test/no-issuing"

// issueForever does cert-manager's part: it writes the Secret of each Certificate, signed by
// its Issuer, and says that it is ready, and signs what CertificateRequests ask for.
func issueForever(ctx context.Context, c client.Client) {
	for ctx.Err() == nil {
		list := &cmv1.CertificateList{}
		if err := c.List(ctx, list); err == nil {
			for i := range list.Items {
				// What fails now, because the object changed or went, is tried again.
				_ = issue(ctx, c, &list.Items[i])
			}
		} else if !meta.IsNoMatchError(err) && ctx.Err() == nil {
			fmt.Println("issuing:", err)
		}
		requests := &cmv1.CertificateRequestList{}
		if err := c.List(ctx, requests); err == nil {
			for i := range requests.Items {
				_ = answer(ctx, c, &requests.Items[i])
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func issue(ctx context.Context, c client.Client, certificate *cmv1.Certificate) error {
	namespace := &corev1.Namespace{}
	if err := c.Get(ctx, client.ObjectKey{Name: certificate.Namespace}, namespace); err != nil || namespace.Labels[heldLabel] != "" {
		return err
	}
	secret := &corev1.Secret{}
	err := c.Get(ctx, client.ObjectKey{Namespace: certificate.Namespace, Name: certificate.Spec.SecretName}, secret)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	if err == nil && isReady(certificate) {
		return nil
	}
	exists := err == nil
	// The list is of a while ago.
	if err := c.Get(ctx, client.ObjectKeyFromObject(certificate), certificate); err != nil {
		return err
	}
	if !exists {
		secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: certificate.Namespace, Name: certificate.Spec.SecretName}, Type: corev1.SecretTypeTLS}
	}
	secret.Labels = certificate.Spec.SecretTemplate.Labels
	if secret.Data, err = issued(ctx, c, certificate); err != nil {
		return err
	}
	if exists {
		err = c.Update(ctx, secret)
	} else {
		err = c.Create(ctx, secret)
	}
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	certificate.Status.Conditions = []cmv1.CertificateCondition{{
		Type: cmv1.CertificateConditionReady, Status: cmmetav1.ConditionTrue, Reason: "Ready", ObservedGeneration: certificate.Generation,
	}}
	return c.Status().Update(ctx, certificate)
}

func isReady(certificate *cmv1.Certificate) bool {
	for _, condition := range certificate.Status.Conditions {
		if condition.Type == cmv1.CertificateConditionReady && condition.ObservedGeneration == certificate.Generation {
			return true
		}
	}
	return false
}

// issued is the content of the Secret of a Certificate.
func issued(ctx context.Context, c client.Client, certificate *cmv1.Certificate) (map[string][]byte, error) {
	ca, err := caOf(ctx, c, client.ObjectKey{Namespace: certificate.Namespace, Name: certificate.Spec.IssuerRef.Name})
	if err != nil {
		return nil, err
	}
	lifetime := 90 * 24 * time.Hour
	if certificate.Spec.Duration != nil {
		lifetime = certificate.Spec.Duration.Duration
	}
	return newKeyPair(&x509.Certificate{
		Subject: pkix.Name{CommonName: certificate.Spec.CommonName}, DNSNames: certificate.Spec.DNSNames,
		NotBefore: time.Now(), NotAfter: time.Now().Add(lifetime),
		IsCA: certificate.Spec.IsCA, BasicConstraintsValid: certificate.Spec.IsCA,
	}, ca)
}

// caOf is what an Issuer signs with, nil for one that has no CA.
func caOf(ctx context.Context, c client.Client, key client.ObjectKey) (*tls.Certificate, error) {
	issuer := &cmv1.Issuer{}
	if err := c.Get(ctx, key, issuer); err != nil || issuer.Spec.CA == nil {
		return nil, client.IgnoreNotFound(err)
	}
	secret := &corev1.Secret{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: issuer.Spec.CA.SecretName}, secret); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(secret.Data["tls.crt"], secret.Data["tls.key"])
	if err != nil {
		return nil, err
	}
	return &pair, nil
}

// newKeyPair makes a key and a certificate for it, signed by ca or else by itself, as the
// content of a Secret.
func newKeyPair(template *x509.Certificate, ca *tls.Certificate) (map[string][]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		return nil, err
	}
	parent, signer := template, any(key)
	if ca != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	data := map[string][]byte{
		"tls.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		"tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
	data["ca.crt"] = data["tls.crt"]
	if ca != nil {
		data["ca.crt"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate[0]})
	}
	return data, nil
}
