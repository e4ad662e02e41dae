package controllers

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/users"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// verifierSource finds the verifiers of users' passwords in one pass: from memory while the
// Secret has not changed; otherwise the one that is in the shard, if the password still fits
// it, so that an operator that restarts changes nothing; otherwise a new one.
type verifierSource struct {
	reconciler *MailRelayReconciler
	scope      *scope
	seen       map[string]bool
	// written are the users by shard as they were last written, read when first needed.
	written map[int][]config.User
}

func (r *MailRelayReconciler) newVerifierSource(s *scope) *verifierSource {
	return &verifierSource{reconciler: r, scope: s, seen: map[string]bool{}, written: map[int][]config.User{}}
}

// of returns the verifier of a user, nil when the user has no credentials yet.
func (v *verifierSource) of(ctx context.Context, user *v1alpha1.RelayUser) (*knownVerifier, error) {
	username, secretName := resources.Username(user), resources.CredentialsName(user)
	v.seen[username] = true
	metadata, err := secretMetadata(ctx, v.reconciler.Client, user.Namespace, secretName)
	if err != nil || metadata == nil {
		return nil, err
	}
	if known, ok := v.scope.memory.verifiers[username]; ok && known.version == versionOf(metadata) {
		return &known, nil
	}
	secret, err := liveSecret(ctx, v.reconciler.Live, user.Namespace, secretName)
	if err != nil || secret == nil || !metav1.IsControlledBy(secret, user) {
		return nil, err
	}
	verifier, err := v.derive(ctx, username, string(secret.Data[resources.PasswordKey]))
	if err != nil || verifier == nil {
		return nil, err
	}
	known := knownVerifier{version: versionOf(secret), verifier: *verifier}
	v.scope.memory.verifiers[username] = known
	return &known, nil
}

// derive returns nil for a password that none can be made of. The user's own loop replaces
// such a password; one app must not stop the relay of all.
func (v *verifierSource) derive(ctx context.Context, username, password string) (*config.Verifier, error) {
	shard, err := v.shard(ctx, users.Shard(username))
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(shard, func(u config.User) bool { return u.Name == username })
	if at >= 0 {
		for _, verifier := range shard[at].Passwords {
			if ok, err := verifier.Check(password); err == nil && ok {
				return &verifier, nil
			}
		}
	}
	if verifier, err := config.NewVerifier(password); err == nil {
		return &verifier, nil
	}
	return nil, nil
}

// shard reads a shard as it was last written. One that cannot be read has no users: their
// verifiers are then made anew.
func (v *verifierSource) shard(ctx context.Context, number int) ([]config.User, error) {
	if written, ok := v.written[number]; ok {
		return written, nil
	}
	relay := v.scope.relay
	secret, err := liveSecret(ctx, v.reconciler.Live, relay.Namespace, resources.UsersName(relay, number))
	if err != nil {
		return nil, err
	}
	var written []config.User
	if secret != nil && metav1.IsControlledBy(secret, relay) {
		if file, err := config.ParseUserFile(secret.Data[resources.UsersKey]); err == nil {
			written = file.Users
		}
	}
	v.written[number] = written
	return written, nil
}

// forgetOthers drops the verifiers of users that were not asked for.
func (v *verifierSource) forgetOthers() {
	for username := range v.scope.memory.verifiers {
		if !v.seen[username] {
			delete(v.scope.memory.verifiers, username)
		}
	}
}
