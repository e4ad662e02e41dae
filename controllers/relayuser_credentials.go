package controllers

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// applyCredentials keeps the Secret of a user who is let in. It is first written when the
// relay has a CA: an app without it could not verify the relay. That of a user who is no
// longer let in stays as it is; the relay does not know it any more.
func (r *RelayUserReconciler) applyCredentials(ctx context.Context, s *userScope) error {
	if s.relay == nil || s.facts.RefusedReason != "" {
		r.Keys.drop(client.ObjectKeyFromObject(s.user))
		r.Board.cancel(ctx, relayRef(s.user), client.ObjectKeyFromObject(s.user), nil)
		return nil
	}
	ca, known := r.Board.ca(relayRef(s.user))
	s.undecided = !known
	s.facts.CAKnown = ca != ""
	if ca == "" {
		return nil
	}
	// Read live: a cache that lags must not cost an app its password.
	live, err := liveSecret(ctx, r.Live, s.user.Namespace, resources.CredentialsName(s.user))
	if err != nil {
		return err
	}
	if live != nil && !metav1.IsControlledBy(live, s.user) {
		live = nil
	}
	if s.relay.Spec.Paused {
		r.leaveCredentials(s, live)
		return nil
	}
	key, dueKey, failure := r.renewKey(ctx, s, live)
	if failure != nil && needsCertificate(s.user) {
		return failure
	}
	if live == nil && key.pair == nil && s.facts.Client != nil && s.facts.Client.Needed {
		// An app could not log in with the rest.
		return nil
	}
	password, duePassword := r.renew(ctx, s, passwordIn(live))
	desired := resources.CredentialsSecret(s.relay, s.user, credentials([]byte(ca), password, key))
	edit := editOf(live, desired)
	if s.secret, err = r.writeCredentials(ctx, s, live, desired); err != nil {
		return err
	}
	if dueKey.due {
		r.Keys.use(client.ObjectKeyFromObject(s.user), key.pair.name)
	}
	s.fresh = s.fresh || r.isNews(s, live, password, key)
	r.showRotation(s, password, key)
	r.tellOfCredentials(s, edit,
		replaced{"password", duePassword, password.previousUntil},
		replaced{"client certificate", dueKey, key.previousUntil})
	return failure
}

// credentials are what the Secret is to hold.
func credentials(ca []byte, password heldPassword, key heldKey) resources.Credentials {
	c := resources.Credentials{CA: ca, Password: password.password, Annotations: map[string]string{}}
	maps.Copy(c.Annotations, password.annotations())
	maps.Copy(c.Annotations, key.annotations())
	if key.pair != nil {
		c.Client = &key.pair.ClientPair
	}
	return c
}

// renew returns what the Secret is to hold: what it holds, or a new password where one is due.
// Pods learn of a new password before it is in the Secret, unless the old one is worth nothing.
func (r *RelayUserReconciler) renew(ctx context.Context, s *userScope, h heldPassword) (heldPassword, replacement) {
	relay, user := relayRef(s.user), client.ObjectKeyFromObject(s.user)
	if !resources.Uses(s.user, v1alpha1.KindPassword) {
		r.Board.cancel(ctx, relay, user, nil)
		return heldPassword{}, replacement{}
	}
	now := r.Now()
	due := judge(s.user, h.record, len(h.password) > 0, now)
	if !due.unhurried {
		r.Board.cancel(ctx, relay, user, h.password)
	}
	var password []byte
	switch {
	case !due.due:
		s.wakeAt(now, h.next(s.user))
		return heldPassword{h.kept(s.user), h.password}, replacement{}
	case due.unhurried:
		next := r.Board.prepare(ctx, relay, user)
		if !r.Board.prepared(relay, user, next, h.password) {
			s.facts.Rotating = true
			return heldPassword{h.kept(s.user), h.password}, replacement{}
		}
		password = []byte(next.password)
	default:
		s.fresh = true
		password = newPassword()
	}
	due.first = !hadPassword(s.before)
	fresh := heldPassword{replacedBy(s.user, due, now), password}
	s.wakeAt(now, fresh.next(s.user))
	return fresh, due
}

// writeCredentials writes the Secret. One that somebody made immutable, or of another type, can
// only be made anew.
func (r *RelayUserReconciler) writeCredentials(
	ctx context.Context, s *userScope, live *corev1.Secret, desired *corev1ac.SecretApplyConfiguration,
) (*corev1.Secret, error) {
	if live != nil && fixed(live) {
		if err := r.applier().Delete(ctx, live); err != nil {
			return nil, err
		}
		live = nil
	}
	var object client.Object
	var err error
	if live == nil {
		object, err = r.applier().Apply(ctx, s.user, desired)
	} else {
		// What it held when it was read is in desired: an edit since then must not be lost, and
		// a Secret that was deleted must not come back.
		object, err = r.applier().ApplyOver(ctx, s.user, live, desired)
	}
	if err != nil {
		if live == nil {
			s.user.Status.Binding = nil
		}
		return nil, err
	}
	s.facts.SecretWritten = true
	s.user.Status.Binding = &v1alpha1.Binding{Name: object.GetName()}
	return object.(*corev1.Secret), nil
}

// fixed reports whether a Secret cannot be what it has to be.
func fixed(secret *corev1.Secret) bool {
	return secret.Type != v1alpha1.SecretTypeSMTP || secret.Immutable != nil && *secret.Immutable
}

// leaveCredentials changes nothing while the relay is paused: it would not come to know of it.
// What is due meanwhile is told.
func (r *RelayUserReconciler) leaveCredentials(s *userScope, live *corev1.Secret) {
	s.facts.RelayPaused = true
	if live == nil {
		return
	}
	s.secret = live
	s.facts.SecretWritten = true
	now := r.Now()
	if resources.Uses(s.user, v1alpha1.KindPassword) {
		h := passwordIn(live)
		s.leave("password", judge(s.user, h.record, len(h.password) > 0, now))
		s.wakeAt(now, h.next(s.user))
		if len(h.password) == 0 && needsPassword(s.user) {
			s.facts.SecretWritten = false
		}
	}
	if resources.Uses(s.user, v1alpha1.KindClientCertificate) {
		signer := r.Board.signer(relayRef(s.user))
		h := keyIn(s.user, live, signer, now)
		s.leave("client certificate", h.judge(s.user, signer, now))
		if h.pair != nil {
			s.wakeAt(now, h.next(s.user, signer), h.pair.leaf.NotAfter)
		} else if needsCertificate(s.user) {
			s.facts.SecretWritten = false
		}
	}
}

// needsPassword reports whether a user cannot log in without a password.
func needsPassword(user *v1alpha1.RelayUser) bool {
	return len(resources.Kinds(user)) == 1 ||
		requireOf(user) == config.RequireAll && !resources.Uses(user, v1alpha1.KindServiceAccount)
}

// leave notes what a paused relay keeps from being replaced.
func (s *userScope) leave(what string, due replacement) {
	if due.due {
		s.facts.Due = append(s.facts.Due, fmt.Sprintf("the %s, %s", what, due.why))
	}
}

// newPassword has 256 bits, in letters that no shell, file or URI changes.
func newPassword() []byte {
	key := make([]byte, 32)
	// crypto/rand.Read never fails since Go 1.24: it ends the process instead.
	_, _ = rand.Read(key)
	return base64.RawURLEncoding.AppendEncode(nil, key)
}
