package controllers

import (
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/apply"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// reissueTime is over how long the users of a relay get certificates of a new generation of its
// CA. Those of the old one are accepted until they end.
const reissueTime = 24 * time.Hour

// heldKey is the client certificate in a user's Secret.
type heldKey struct {
	record
	// pair is nil when there is none that the operator made and the relay takes.
	pair *clientPair
	// unusable says why there is none.
	unusable error
	// issuer signed it.
	issuer string
	// renewed is set when the one before was only old: it works until it ends by itself.
	renewed bool
}

// clientSigner signs client certificates.
type clientSigner struct {
	// issuer is the name of the Issuer, in the relay's namespace, that signs now.
	issuer string
	// since is when it began to, zero while that is not known.
	since time.Time
	// accepted are the CAs, as PEM, whose certificates the relay accepts.
	accepted string
}

// keyIn reads a user's Secret, nil when there is none.
func keyIn(user *v1alpha1.RelayUser, secret *corev1.Secret, signer clientSigner, now time.Time) heldKey {
	if secret == nil {
		return heldKey{unusable: errors.New("there is no Secret")}
	}
	h := keyRecordIn(secret)
	if keyNameIn(secret) == "" {
		h.unusable = errors.New("the Secret has none that the operator made")
		return h
	}
	h.pair, h.unusable = newClientPair(user, secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey], signer.accepted, now)
	if h.unusable != nil {
		h.pair = nil
	} else if h.issued.IsZero() {
		h.issued = h.pair.leaf.NotBefore
	}
	return h
}

// keyNameIn is the KeyName of the certificate that the operator wrote to a Secret, empty when
// there is none.
func keyNameIn(secret *corev1.Secret) string {
	if !apply.Owns(secret, "data", corev1.TLSCertKey) {
		return ""
	}
	return keyName(secret.Data[corev1.TLSCertKey])
}

// keyRecordIn is what a Secret says of the certificate in it.
func keyRecordIn(secret *corev1.Secret) heldKey {
	kept := resources.ParseKeyRecord(annotationOf(secret, resources.KeyAnnotation))
	return heldKey{
		record:  record{issued: kept.Issued, previousUntil: kept.PreviousUntil, rotate: kept.Rotate, leaked: kept.Leaked},
		issuer:  kept.Issuer,
		renewed: kept.Renewed,
	}
}

// annotations are how the Secret keeps it. It also does while there is no certificate: which
// leak was answered must not be forgotten.
func (h heldKey) annotations() map[string]string {
	if h.issued.IsZero() {
		return nil
	}
	return map[string]string{resources.KeyAnnotation: resources.KeyRecord{
		Issuer: h.issuer, Issued: h.issued, PreviousUntil: h.previousUntil, Renewed: h.renewed, Rotate: h.rotate, Leaked: h.leaked,
	}.String()}
}

// judge decides as for a password. Besides, a certificate is replaced because of its age, and
// when another generation of the CA signs.
func (h heldKey) judge(user *v1alpha1.RelayUser, signer clientSigner, now time.Time) replacement {
	due := judge(user, h.record, h.pair != nil, now)
	reissue := h.reissue(user, signer)
	switch {
	case due.due && !due.atOnce && h.pair == nil:
		due.why = fmt.Sprintf("since there was none that could be used: %v", h.unusable)
		return due
	case due.due:
		return due
	case !now.Before(h.renewal(user)):
		return replacement{due: true, unhurried: true, renewal: true, why: "since its certificate ends at " + h.pair.leaf.NotAfter.UTC().Format(time.RFC3339)}
	case !reissue.IsZero() && !now.Before(reissue):
		return replacement{due: true, unhurried: true, renewal: true, why: fmt.Sprintf("since Issuer %s signs in the place of %s", signer.issuer, h.issuer)}
	}
	return replacement{}
}

// renewal is when a certificate is replaced because of its age: in the last tenth of two thirds
// of its life.
func (h heldKey) renewal(user *v1alpha1.RelayUser) time.Time {
	life := h.pair.leaf.NotAfter.Sub(h.pair.leaf.NotBefore) * 2 / 3
	return h.pair.leaf.NotBefore.Add(life - h.spread(user, life/10)).Truncate(time.Second)
}

// reissue is when a certificate is replaced because another Issuer signs; zero for never.
func (h heldKey) reissue(user *v1alpha1.RelayUser, signer clientSigner) time.Time {
	if h.issuer == signer.issuer || signer.since.IsZero() {
		return time.Time{}
	}
	return signer.since.Add(h.spread(user, reissueTime)).Truncate(time.Second)
}

// next is when the certificate is replaced if nobody asks for it before.
func (h heldKey) next(user *v1alpha1.RelayUser, signer clientSigner) time.Time {
	next := h.renewal(user)
	for _, at := range []time.Time{h.record.next(user), h.reissue(user, signer)} {
		if !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return next
}

// replaced is what the Secret is to hold once another pair has taken the place of this one.
func (h heldKey) replaced(user *v1alpha1.RelayUser, fresh *clientPair, issuer string, due replacement, now time.Time) heldKey {
	next := heldKey{record: replacedBy(user, due, now), pair: fresh, issuer: issuer, renewed: due.renewal}
	if due.renewal {
		next.previousUntil = h.pair.leaf.NotAfter.UTC()
	}
	return next
}

func (h heldKey) kept(user *v1alpha1.RelayUser) heldKey {
	if !h.renewed && !h.issued.IsZero() {
		h.record = h.record.kept(user)
	}
	return h
}
