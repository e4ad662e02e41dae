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

// proofs are what the credentials in a user's Secret prove, as the relay knows it: nothing in
// them can be used to log in.
type proofs struct {
	// version of the Secret that they were made of.
	version version
	// passwords are the verifiers, the newest first.
	passwords []config.Verifier
}

// proofSource finds the proofs of users in one pass: from memory while the Secret has not
// changed; otherwise the verifier that is in the shard, if the password still fits it, so that
// an operator that restarts changes nothing; otherwise a new one.
type proofSource struct {
	reconciler *MailRelayReconciler
	scope      *scope
	seen       map[string]bool
	// written are the users by shard as they were last written, read when first needed.
	written map[int][]config.User
}

func (r *MailRelayReconciler) newProofSource(s *scope) *proofSource {
	return &proofSource{reconciler: r, scope: s, seen: map[string]bool{}, written: map[int][]config.User{}}
}

// of returns the proofs of a user, nil when the user has no credentials yet.
func (p *proofSource) of(ctx context.Context, user *v1alpha1.RelayUser) (*proofs, error) {
	username, secretName := resources.Username(user), resources.CredentialsName(user)
	p.seen[username] = true
	metadata, err := secretMetadata(ctx, p.reconciler.Client, user.Namespace, secretName)
	if err != nil || metadata == nil {
		return nil, err
	}
	if known, ok := p.scope.memory.proofs[username]; ok && known.version == versionOf(metadata) {
		return &known, nil
	}
	secret, err := liveSecret(ctx, p.reconciler.Live, user.Namespace, secretName)
	if err != nil || secret == nil || !metav1.IsControlledBy(secret, user) {
		return nil, err
	}
	known := proofs{version: versionOf(secret)}
	if resources.Uses(user, v1alpha1.KindPassword) {
		verifier, err := p.derive(ctx, username, string(secret.Data[resources.PasswordKey]))
		if err != nil || verifier == nil {
			return nil, err
		}
		known.passwords = []config.Verifier{*verifier}
	}
	p.scope.memory.proofs[username] = known
	return &known, nil
}

// derive returns nil for a password that none can be made of. The user's own loop replaces
// such a password; one app must not stop the relay of all.
func (p *proofSource) derive(ctx context.Context, username, password string) (*config.Verifier, error) {
	shard, err := p.shard(ctx, users.Shard(username))
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
func (p *proofSource) shard(ctx context.Context, number int) ([]config.User, error) {
	if written, ok := p.written[number]; ok {
		return written, nil
	}
	relay := p.scope.relay
	secret, err := liveSecret(ctx, p.reconciler.Live, relay.Namespace, resources.UsersName(relay, number))
	if err != nil {
		return nil, err
	}
	var written []config.User
	if secret != nil && metav1.IsControlledBy(secret, relay) {
		if file, err := config.ParseUserFile(secret.Data[resources.UsersKey]); err == nil {
			written = file.Users
		}
	}
	p.written[number] = written
	return written, nil
}

// forgetOthers drops the proofs of users that were not asked for.
func (p *proofSource) forgetOthers() {
	for username := range p.scope.memory.proofs {
		if !p.seen[username] {
			delete(p.scope.memory.proofs, username)
		}
	}
}
