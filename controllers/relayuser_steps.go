package controllers

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// findRelay reads the MailRelay. One that is being deleted lets nobody new in.
func (r *RelayUserReconciler) findRelay(ctx context.Context, s *userScope) error {
	relay := &v1alpha1.MailRelay{}
	err := r.Client.Get(ctx, relayRef(s.user), relay)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read the MailRelay: %w", err)
	}
	if err == nil && relay.DeletionTimestamp.IsZero() {
		s.relay = relay
		s.facts.RelayExists = true
	}
	return nil
}

// decide applies the relay's access rules and shows what they grant.
func (r *RelayUserReconciler) decide(_ context.Context, s *userScope) error {
	s.user.Status.Username = resources.Username(s.user)
	s.user.Status.Senders, s.user.Status.Authentication, s.user.Status.Limits = nil, nil, nil
	if s.relay == nil {
		return nil
	}
	_, decision := grant(s.relay, s.user, s.namespace.Labels)
	s.facts.RefusedReason, s.facts.RefusedMessage = decision.Reason, decision.Message
	s.user.Status.Senders, s.user.Status.Authentication = decision.Senders, decision.Authentication
	s.user.Status.Limits = decision.Shown(s.relay)
	return nil
}

// applyCredentials keeps the Secret of a user who is let in. It is first written when the
// relay has a CA: an app without it could not verify the relay. That of a user who is no
// longer let in stays as it is; the relay does not know it any more.
func (r *RelayUserReconciler) applyCredentials(ctx context.Context, s *userScope) error {
	if s.relay == nil || s.facts.RefusedReason != "" {
		return nil
	}
	ca, known := r.Board.ca(relayRef(s.user))
	s.undecided = !known
	s.facts.CAKnown = ca != ""
	if ca == "" {
		return nil
	}
	if s.relay.Spec.Paused {
		return r.findCredentials(ctx, s)
	}
	credentials, err := r.credentials(ctx, s)
	if err != nil {
		return err
	}
	credentials.CA = []byte(ca)
	object, err := r.applier().Apply(ctx, s.user, resources.CredentialsSecret(s.relay, s.user, credentials))
	if err != nil {
		s.user.Status.Binding = nil
		return err
	}
	s.secret = object.(*corev1.Secret)
	s.facts.SecretWritten = true
	s.user.Status.Binding = &v1alpha1.Binding{Name: s.secret.Name}
	return nil
}

// findCredentials changes nothing while the relay is paused: it would not come to know of it.
func (r *RelayUserReconciler) findCredentials(ctx context.Context, s *userScope) error {
	s.facts.RelayPaused = true
	secret, err := liveSecret(ctx, r.Live, s.user.Namespace, resources.CredentialsName(s.user))
	if err != nil || secret == nil || !metav1.IsControlledBy(secret, s.user) {
		return err
	}
	s.secret = secret
	s.facts.SecretWritten = true
	return nil
}

// credentials are those that the Secret holds, or new ones. The Secret is read live: a cache
// that lags must not cost an app its password.
func (r *RelayUserReconciler) credentials(ctx context.Context, s *userScope) (resources.Credentials, error) {
	secret, err := liveSecret(ctx, r.Live, s.user.Namespace, resources.CredentialsName(s.user))
	if err != nil {
		return resources.Credentials{}, err
	}
	if secret == nil || !metav1.IsControlledBy(secret, s.user) {
		secret = &corev1.Secret{}
	}
	var c resources.Credentials
	if resources.Uses(s.user, v1alpha1.KindPassword) {
		c.Password = s.password(secret.Data[resources.PasswordKey])
	}
	return c, nil
}

// password is the present one, or a new one where that cannot be used.
func (s *userScope) password(present []byte) []byte {
	if usable(present) {
		return present
	}
	s.fresh = true
	return newPassword()
}

// newPassword has 256 bits, in letters that no shell, file or URI changes.
func newPassword() []byte {
	key := make([]byte, 32)
	// crypto/rand.Read never fails since Go 1.24: it ends the process instead.
	_, _ = rand.Read(key)
	return base64.RawURLEncoding.AppendEncode(nil, key)
}

// usable reports whether a password that someone may have edited can still be one.
func usable(password []byte) bool {
	const shortest, longest = 16, 255
	if len(password) < shortest || len(password) > longest {
		return false
	}
	for _, b := range password {
		if b <= ' ' || b > '~' {
			return false
		}
	}
	return true
}

// awaitLoaded asks whether the relay knows the credentials.
func (r *RelayUserReconciler) awaitLoaded(_ context.Context, s *userScope) error {
	if s.secret == nil {
		return nil
	}
	if resources.Uses(s.user, v1alpha1.KindServiceAccount) {
		tokens := r.Board.tokensOf(relayRef(s.user))
		s.facts.Tokens = &tokens
	}
	s.facts.Loaded = s.wasReady() && !s.fresh ||
		r.Board.hasLoaded(relayRef(s.user), client.ObjectKeyFromObject(s.user), versionOf(s.secret))
	return nil
}

// hearRefusals asks whether an upstream of the relay refuses mail from the user's senders.
func (r *RelayUserReconciler) hearRefusals(_ context.Context, s *userScope) error {
	s.facts.SendersRefused = r.Board.sendersRefused(relayRef(s.user), client.ObjectKeyFromObject(s.user))
	return nil
}
