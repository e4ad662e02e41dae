package operatorca

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// SecretName is the Secret, in the operator's namespace, that keeps the CA.
const SecretName = "mailrelay-operator-ca"

// caRenewBefore is how long before its end a CA is replaced. Relays learn of the new one
// within seconds; until then only the operator's view of them is missing.
const caRenewBefore = 365 * 24 * time.Hour

// Authority is the operator's CA. It is safe for concurrent use.
type Authority struct {
	// Reader reads from the API server, Writer writes to it.
	Reader client.Reader
	Writer client.Writer
	// Namespace of the operator.
	Namespace string
	// Now is the clock.
	Now func() time.Time

	mu     sync.Mutex
	ca     *tls.Certificate
	caPEM  []byte
	client *tls.Certificate
}

// Bundle is the CA as PEM: what relays verify the operator with. The first call reads the CA
// from its Secret, or makes it.
func (a *Authority) Bundle(ctx context.Context) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ensure(ctx); err != nil {
		return nil, fmt.Errorf("the operator's CA in Secret %s/%s: %w", a.Namespace, SecretName, err)
	}
	return a.caPEM, nil
}

// ClientCertificate is what the operator shows to relays. Bundle must have succeeded before.
func (a *Authority) ClientCertificate() (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ca == nil {
		return nil, fmt.Errorf("the operator's CA is not loaded")
	}
	if a.client == nil || a.Now().After(a.client.Leaf.NotAfter.Add(-clientLifetime/2)) {
		fresh, err := newClient(a.ca, a.Now())
		if err != nil {
			return nil, err
		}
		a.client = fresh
	}
	return a.client, nil
}

// ensure loads the CA from its Secret and replaces one that ends soon.
func (a *Authority) ensure(ctx context.Context) error {
	if a.ca != nil && a.lasts(a.ca) {
		return nil
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: a.Namespace, Name: SecretName}}
	err := a.Reader.Get(ctx, client.ObjectKeyFromObject(secret), secret)
	if err == nil && a.load(secret) == nil && a.lasts(a.ca) {
		return nil
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	before := secret.DeepCopy()
	certPEM, keyPEM, err := newCA(a.Now())
	if err != nil {
		return err
	}
	secret.Type = corev1.SecretTypeTLS
	secret.Data = map[string][]byte{corev1.TLSCertKey: certPEM, corev1.TLSPrivateKeyKey: keyPEM}
	if before.ResourceVersion == "" {
		err = a.Writer.Create(ctx, secret)
	} else {
		err = a.Writer.Patch(ctx, secret, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	}
	if err != nil {
		return err
	}
	return a.load(secret)
}

func (a *Authority) load(secret *corev1.Secret) error {
	certPEM := secret.Data[corev1.TLSCertKey]
	pair, err := tls.X509KeyPair(certPEM, secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return err
	}
	a.ca, a.caPEM, a.client = &pair, certPEM, nil
	return nil
}

func (a *Authority) lasts(ca *tls.Certificate) bool {
	return a.Now().Before(ca.Leaf.NotAfter.Add(-caRenewBefore))
}
