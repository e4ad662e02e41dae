package controllers

import (
	"context"
	"fmt"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// clientSigner signs client certificates.
type clientSigner struct {
	// issuer is the name of the Issuer, in the relay's namespace, that signs now.
	issuer string
	// accepted are the CAs, as PEM, whose certificates the relay accepts.
	accepted string
}

// clientCertificate is what the user's Secret shall hold: the pair that it holds, or a new one,
// nil while there is none that can be used. A pair that is only old stays until the relay knows
// the next one, so that an app can log in with whichever it finds.
func (r *RelayUserReconciler) clientCertificate(ctx context.Context, s *userScope, live *corev1.Secret) (*resources.ClientPair, error) {
	key := client.ObjectKeyFromObject(s.user)
	if !resources.Uses(s.user, v1alpha1.KindClientCertificate) {
		r.Keys.drop(key)
		return nil, nil
	}
	signer := clientSigner{}
	signer.issuer, signer.accepted = r.Board.signer(relayRef(s.user))
	held, err := heldPair(s.user, live, signer.accepted, r.Now())
	if err != nil || isNew(s.user, v1alpha1.AnnotationLeaked, held.Record.Leaked) {
		held = nil
	}
	if held != nil {
		s.wakeAt(r.Now(), held)
		if !r.due(s, held, signer.issuer) {
			r.Keys.drop(key)
			return &held.ClientPair, nil
		}
	}
	s.facts.Client = &readiness.ClientCertificate{Usable: held != nil}
	fresh, err := r.newPair(ctx, s, signer)
	if err != nil {
		return nil, err
	}
	accepted := fresh != nil && r.Board.accepts(relayRef(s.user), key, resources.ClientName(s.user, fresh.name))
	if held != nil && !accepted {
		return &held.ClientPair, nil
	}
	if fresh == nil {
		s.unwritten = live == nil
		return nil, nil
	}
	fresh.Record = r.newRecord(s, held, signer.issuer)
	s.facts.Client = nil
	s.fresh = s.fresh || !accepted
	return &fresh.ClientPair, nil
}

// signingRetry is how long after a refusal another request is made.
const signingRetry = 10 * time.Minute

// newPair has the relay's CA sign a new key, and returns the pair once it has.
func (r *RelayUserReconciler) newPair(ctx context.Context, s *userScope, signer clientSigner) (*clientPair, error) {
	installed, missing := r.CertManager.State()
	s.facts.Client.CertManagerMissing = missing
	if !installed {
		s.again(establishing)
		return nil, nil
	}
	under, err := r.Keys.make(s.relay, s.user, signer.issuer, r.Now())
	if err != nil {
		return nil, err
	}
	s.facts.Client.Request = s.relay.Namespace + "/" + under.requestName
	object, err := r.applier().Ensure(ctx, s.relay,
		resources.ClientCertificateRequest(s.relay, s.user, under.requestName, under.signer, under.request))
	if err != nil {
		return nil, err
	}
	certificate, refusal := signed(object.(*cmv1.CertificateRequest))
	if certificate == nil && refusal == "" {
		return nil, nil
	}
	pair, err := r.pairOf(s, under, certificate, signer.accepted)
	if err != nil && refusal == "" {
		refusal = fmt.Sprintf("what was signed cannot be used: %v", err)
	}
	if refusal == "" {
		return pair, nil
	}
	s.facts.Client.Refusal = refusal
	if again := under.made.Add(signingRetry).Sub(r.Now()); again > 0 {
		s.again(again)
		return nil, nil
	}
	r.Keys.drop(client.ObjectKeyFromObject(s.user))
	s.again(establishing)
	return nil, nil
}

func (r *RelayUserReconciler) pairOf(s *userScope, under *newKey, certificate []byte, accepted string) (*clientPair, error) {
	key, err := privateKeyPEM(under.key)
	if err != nil {
		return nil, err
	}
	return newClientPair(s.user, certificate, key, accepted, r.Now())
}
