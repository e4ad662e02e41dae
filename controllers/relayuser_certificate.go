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
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// renewKey returns what the Secret is to hold: what it holds, or a new pair where one is due and
// signed. Pods know the next one before apps can read it, unless the old one is worth nothing.
func (r *RelayUserReconciler) renewKey(ctx context.Context, s *userScope, live *corev1.Secret) (heldKey, replacement, error) {
	relay, user := relayRef(s.user), client.ObjectKeyFromObject(s.user)
	if !resources.Uses(s.user, v1alpha1.KindClientCertificate) {
		r.Keys.drop(user)
		return heldKey{}, replacement{}, nil
	}
	signer, now := r.Board.signer(relay), r.Now()
	if live != nil {
		// Also one whose write was taken for a failure.
		r.Keys.use(user, keyName(live.Data[corev1.TLSCertKey]))
	}
	h := keyIn(s.user, live, signer, now)
	due := h.judge(s.user, signer, now)
	if !due.due {
		r.Keys.cancel(user)
		s.wakeAt(now, h.next(s.user, signer), h.pair.leaf.NotAfter)
		return h.kept(s.user), replacement{}, nil
	}
	if due.atOnce {
		h.pair = nil
	}
	s.facts.Client = &readiness.ClientCertificate{Usable: h.pair != nil, Needed: needsCertificate(s.user)}
	if h.pair != nil {
		s.wakeAt(now, h.pair.leaf.NotAfter)
	}
	fresh, err := r.newPair(ctx, s, signer)
	accepted := fresh != nil && r.Board.accepts(relay, user, resources.ClientName(s.user, fresh.name))
	if fresh == nil || due.unhurried && !accepted {
		return h.kept(s.user), replacement{}, err
	}
	s.fresh = s.fresh || !accepted && s.facts.Client.Needed
	s.facts.Client = nil
	due.first = h.issued.IsZero() && r.Keys.of(s.user).first
	h = h.replaced(s.user, fresh, signer.issuer, due, now)
	s.wakeAt(now, h.next(s.user, signer), h.pair.leaf.NotAfter)
	return h, due, nil
}

// needsCertificate reports whether a user cannot log in without a certificate.
func needsCertificate(user *v1alpha1.RelayUser) bool {
	return requireOf(user) == config.RequireAll || len(resources.Kinds(user)) == 1
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
