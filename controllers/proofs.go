package controllers

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/users"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// proofs are what the credentials in a user's Secret prove, as the relay knows it: nothing in
// them can be used to log in.
type proofs struct {
	// user is the UID of the RelayUser, so that one who was removed leaves nothing to another of
	// that name.
	user types.UID
	// version of the Secret that they were made of.
	version version
	// leaked is the request to replace leaked credentials that the present password answers.
	leaked string
	// passwords are the verifiers: the present one first, then the one before, if any.
	passwords []config.Verifier
	// previousUntil is when the one before ends; zero without one.
	previousUntil time.Time
	// next is the verifier of the password that the Secret will hold.
	next nextPassword
	// keys are the KeyNames of client certificates: the present one first, then the one before, if
	// any.
	keys []string
	// keyUntil is when the one before ends; zero without one.
	keyUntil time.Time
	// keyLeaked is the request to replace leaked credentials that the present one answers.
	keyLeaked string
}

// nextPassword is the zero one when there is none.
type nextPassword struct {
	preparation *preparation
	verifier    config.Verifier
}

// complete reports whether a user can log in with them.
func (p *proofs) complete(user *v1alpha1.RelayUser) bool {
	secret := len(p.passwords) > 0 || resources.Uses(user, v1alpha1.KindServiceAccount)
	certificate := len(p.keys) > 0
	if requireOf(user) == config.RequireAll {
		return secret && certificate
	}
	return secret || certificate
}

// requireOf is what the relay is told of the user's authentication.require.
func requireOf(user *v1alpha1.RelayUser) string {
	if asked := user.Spec.Authentication; asked != nil && asked.Require == v1alpha1.RequireAll {
		return config.RequireAll
	}
	return ""
}

// accepted are the verifiers as the relay is to have them. A next password takes the place of
// the one before: no more than two work at a time.
func (p *proofs) accepted() ([]config.Verifier, time.Time) {
	if p.next.preparation != nil && len(p.passwords) > 0 {
		return []config.Verifier{p.passwords[0], p.next.verifier}, time.Time{}
	}
	return p.passwords, p.previousUntil
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

// of returns the proofs of a user. While the Secret is gone, or holds what somebody else wrote,
// they stay what they were: the user's own loop makes new ones, and apps go on with the old.
func (p *proofSource) of(ctx context.Context, user *v1alpha1.RelayUser) (*proofs, error) {
	username := resources.Username(user)
	p.seen[username] = true
	known, remembered := p.scope.memory.proofs[username]
	remembered = remembered && known.user == user.UID
	metadata, err := secretMetadata(ctx, p.reconciler.Client, user.Namespace, resources.CredentialsName(user))
	if err != nil {
		return nil, err
	}
	if !remembered {
		if known, err = p.fromShard(ctx, user); err != nil {
			return nil, err
		}
	}
	if metadata != nil && known.version != versionOf(metadata) {
		if err := p.read(ctx, user, &known); err != nil {
			return nil, err
		}
	}
	known.expire(p.scope.facts.Now)
	known.expireKeys(p.scope.facts.Now)
	known.end(user)
	if err := known.prepare(p.reconciler.Board.preparation(client.ObjectKeyFromObject(user))); err != nil {
		return nil, err
	}
	p.scope.memory.proofs[username] = known
	return &known, nil
}

// read takes up what the Secret holds. The Secret is read live.
func (p *proofSource) read(ctx context.Context, user *v1alpha1.RelayUser, known *proofs) error {
	secret, err := liveSecret(ctx, p.reconciler.Live, user.Namespace, resources.CredentialsName(user))
	if err != nil || secret == nil || !metav1.IsControlledBy(secret, user) {
		return err
	}
	known.version = versionOf(secret)
	if key := keyNameIn(secret); key != "" && resources.Uses(user, v1alpha1.KindClientCertificate) {
		p.reconciler.Keys.written(client.ObjectKeyFromObject(user), key)
		known.takeKey(key, keyRecordIn(secret).record)
	}
	h := passwordIn(secret)
	if len(h.password) == 0 || !resources.Uses(user, v1alpha1.KindPassword) {
		return nil
	}
	p.reconciler.Board.written(client.ObjectKeyFromObject(user), string(h.password))
	return known.take(h)
}

// end ends what has leaked, whenever the user's own loop comes to replace it, and what the user
// is no longer to log in with.
func (p *proofs) end(user *v1alpha1.RelayUser) {
	leaked := user.Annotations[v1alpha1.AnnotationLeaked]
	if leaked != "" && leaked != p.leaked || !resources.Uses(user, v1alpha1.KindPassword) {
		p.forgetPasswords()
	}
	if leaked != "" && leaked != p.keyLeaked || !resources.Uses(user, v1alpha1.KindClientCertificate) {
		p.forgetKeys()
	}
}

// fromShard are the proofs that the operator wrote before it restarted.
func (p *proofSource) fromShard(ctx context.Context, user *v1alpha1.RelayUser) (proofs, error) {
	username := resources.Username(user)
	shard, err := p.shard(ctx, users.Shard(username))
	if err != nil {
		return proofs{}, err
	}
	known := proofs{user: user.UID}
	at := slices.IndexFunc(shard, func(u config.User) bool { return u.Name == username && u.ID == string(user.UID) })
	if at >= 0 {
		known.passwords, known.previousUntil = shard[at].Passwords, shard[at].PreviousUntil
		known.recallKeys(user, &shard[at])
	}
	return known, nil
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
	p.written[number] = usersIn(secret, relay)
	return p.written[number], nil
}

func usersIn(secret *corev1.Secret, relay *v1alpha1.MailRelay) []config.User {
	if secret == nil || !metav1.IsControlledBy(secret, relay) {
		return nil
	}
	file, err := config.ParseUserFile(secret.Data[resources.UsersKey])
	if err != nil {
		return nil
	}
	return file.Users
}

// forgetOthers drops the proofs of users that were not asked for.
func (p *proofSource) forgetOthers() {
	for username := range p.scope.memory.proofs {
		if !p.seen[username] {
			delete(p.scope.memory.proofs, username)
		}
	}
}
