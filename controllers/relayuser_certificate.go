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
	under, fresh, err := r.newPair(ctx, s, signer)
	accepted := fresh != nil && r.Board.accepts(relay, user, resources.ClientName(s.user, fresh.name))
	if fresh == nil || due.unhurried && !accepted {
		return h.kept(s.user), replacement{}, err
	}
	s.fresh = s.fresh || (due.atOnce || !accepted) && s.facts.Client.Needed
	s.facts.Client = nil
	due.first = h.issued.IsZero() && under.first
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

// newPair has the relay's CA sign a new key, and returns it with the pair once it has.
func (r *RelayUserReconciler) newPair(ctx context.Context, s *userScope, signer clientSigner) (*newKey, *clientPair, error) {
	if !r.canRequest(s) {
		return nil, nil, nil
	}
	under, err := r.Keys.make(s.relay, s.user, signer.issuer, r.Now())
	if err != nil {
		return nil, nil, err
	}
	s.facts.Client.Request = s.relay.Namespace + "/" + under.requestName
	s.facts.Client.Refusal = under.refusal
	object, err := r.applier().Ensure(ctx, s.relay,
		resources.ClientCertificateRequest(s.relay, s.user, under.requestName, under.signer, under.request))
	if err != nil {
		return nil, nil, err
	}
	certificate, refusal := signed(object.(*cmv1.CertificateRequest))
	if certificate == nil && refusal == "" {
		return nil, nil, nil
	}
	pair, err := r.pairOf(s, under, certificate, signer.accepted)
	if err != nil && refusal == "" {
		refusal = fmt.Sprintf("what was signed cannot be used: %v", err)
	}
	s.facts.Client.Refusal = refusal
	if refusal == "" {
		return under, pair, nil
	}
	if again := under.made.Add(signingRetry).Sub(r.Now()); again > 0 {
		s.again(again)
		return nil, nil, nil
	}
	s.again(establishing)
	_, err = r.Keys.begin(s.relay, s.user, signer.issuer, r.Now(), refusal)
	return nil, nil, err
}

// canRequest reports whether there are CertificateRequests in this cluster, or sees to another look.
func (r *RelayUserReconciler) canRequest(s *userScope) bool {
	installed, missing := r.CertManager.State()
	s.facts.Client.CertManagerMissing = missing
	switch {
	case missing:
		s.again(jitter(nameTakenInterval))
	case !installed:
		s.again(establishing)
	}
	return installed
}

func (r *RelayUserReconciler) pairOf(s *userScope, under *newKey, certificate []byte, accepted string) (*clientPair, error) {
	key, err := privateKeyPEM(under.key)
	if err != nil {
		return nil, err
	}
	return newClientPair(s.user, certificate, key, accepted, r.Now())
}
