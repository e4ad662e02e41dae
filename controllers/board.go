package controllers

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// Board is where the MailRelay loop puts what RelayUsers wait for: the CA that apps need, which
// users every ready pod has loaded, for which there is no room, what is left of old credentials,
// and which senders an upstream refuses. RelayUsers put there the passwords that they will use
// next. It is filled anew after a restart.
type Board struct {
	mu        sync.Mutex
	relays    map[types.NamespacedName]posting
	preparing map[types.NamespacedName]*preparation
	// Changes are the RelayUsers for which something changed.
	Changes chan event.GenericEvent
	// Relays are the MailRelays for which something changed.
	Relays chan event.GenericEvent
}

// posting is what one relay has told.
type posting struct {
	// ca are the CAs that apps trust, as PEM.
	ca string
	// issuer is the name of the Issuer, in the relay's namespace, that signs certificates of
	// clients; empty while the CA is not known.
	issuer string
	// signsSince is when it began to, zero while that is not known.
	signsSince time.Time
	// clientCAs are the CAs, as PEM, whose certificates of clients the relay accepts.
	clientCAs string
	// tokens is what can be said of service account tokens.
	tokens readiness.Tokens
	// loaded are the users as all ready pods have loaded them, or once had; nil while the users are
	// not known, and with them noRoom and previous.
	loaded map[types.NamespacedName]loadedUser
	// noRoom are the users left out of a shard that is full, with the number of the shard.
	noRoom map[types.NamespacedName]int
	// refused are the senders of users that an upstream does not take mail from.
	refused map[types.NamespacedName][]config.SenderReport
	// previous are the old credentials that still work, nil while it is not known who has some.
	previous map[types.NamespacedName]oldCredentials
}

// loadedUser is what all ready pods know of a user.
type loadedUser struct {
	// secret is the version of the credentials.
	secret version
	// generation of the RelayUser's spec.
	generation int64
	// prepared is the next password, nil for none, and certificates are the names in client
	// certificates that let the user in. Pods that start know both as well.
	prepared     *preparation
	certificates []string
}

// oldCredentials are those of a user that were replaced and still work.
type oldCredentials struct {
	// until is when the old password ends; zero without one.
	until time.Time
	// used is when an app last logged in with it, to the minute; zero when none has since the
	// pods started.
	used time.Time
	// keyUntil is when the old client certificate ends; zero without one.
	keyUntil time.Time
}

// sameFor reports whether two postings say the same to a user.
func (p *posting) sameFor(user types.NamespacedName, other *posting) bool {
	return p.ca == other.ca && p.clientCAs == other.clientCAs && p.tokens == other.tokens &&
		p.issuer == other.issuer && p.signsSince.Equal(other.signsSince) &&
		p.previous[user] == other.previous[user] && (p.previous == nil) == (other.previous == nil) &&
		p.sameRoom(user, other) &&
		reflect.DeepEqual(p.loaded[user], other.loaded[user]) &&
		reflect.DeepEqual(p.refused[user], other.refused[user])
}

func (p *posting) sameRoom(user types.NamespacedName, other *posting) bool {
	shard, left := p.noRoom[user]
	otherShard, otherLeft := other.noRoom[user]
	return left == otherLeft && shard == otherShard
}

// NewBoard returns an empty board.
func NewBoard() *Board {
	return &Board{
		relays:    map[types.NamespacedName]posting{},
		preparing: map[types.NamespacedName]*preparation{},
		Changes:   make(chan event.GenericEvent, 1024),
		Relays:    make(chan event.GenericEvent, 1024),
	}
}

// post replaces what a relay has told and wakes the users for which that makes a difference.
// All of its users, known by their names, wait for a CA. The maps of the posting are the
// board's from now on, and must not be changed any more.
func (b *Board) post(ctx context.Context, relay types.NamespacedName, fresh posting, all []types.NamespacedName) {
	b.mu.Lock()
	old, known := b.relays[relay]
	b.relays[relay] = fresh
	b.mu.Unlock()
	for _, user := range all {
		if known && old.sameFor(user, &fresh) {
			continue
		}
		wake := event.GenericEvent{Object: &v1alpha1.RelayUser{
			ObjectMeta: metav1.ObjectMeta{Namespace: user.Namespace, Name: user.Name},
		}}
		select {
		case b.Changes <- wake:
		case <-ctx.Done():
			return
		}
	}
}

func (b *Board) forget(relay types.NamespacedName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.relays, relay)
}

// ca are the CAs of a relay that apps trust as PEM, empty while it has none. They are not known
// of a relay that was not looked at since the operator started.
func (b *Board) ca(relay types.NamespacedName) (ca string, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	posted, known := b.relays[relay]
	return posted.ca, known
}

// signer is what signs certificates of clients, and whose the relay accepts. Both change when
// the CA rotates.
func (b *Board) signer(relay types.NamespacedName) clientSigner {
	b.mu.Lock()
	defer b.mu.Unlock()
	posted := b.relays[relay]
	return clientSigner{issuer: posted.issuer, since: posted.signsSince, accepted: posted.clientCAs}
}

// tokensOf is what a relay's pods can do with service account tokens.
func (b *Board) tokensOf(relay types.NamespacedName) readiness.Tokens {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.relays[relay].tokens
}

// hasLoaded reports whether all ready pods of a relay have loaded a user with this version of
// its credentials and this generation of its spec, or once had.
func (b *Board) hasLoaded(relay, user types.NamespacedName, credentials version, generation int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	loaded, ok := b.relays[relay].loaded[user]
	return ok && loaded.secret == credentials && loaded.generation == generation
}

// leftOut is the number of the shard that has no room for a user.
func (b *Board) leftOut(relay, user types.NamespacedName) (shard int, is bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	shard, is = b.relays[relay].noRoom[user]
	return shard, is
}

// previous are the old credentials of a user that still work. They are not known of a relay whose
// users were not looked at since the operator started.
func (b *Board) previous(relay, user types.NamespacedName) (old oldCredentials, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	previous := b.relays[relay].previous
	return previous[user], previous != nil
}

// accepts reports whether all pods of a relay that are ready, or starting, let a user in by this
// name in a certificate.
func (b *Board) accepts(relay, user types.NamespacedName, name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Contains(b.relays[relay].loaded[user].certificates, name)
}

// sendersRefused are the senders of a user that an upstream of its relay does not take.
func (b *Board) sendersRefused(relay, user types.NamespacedName) []config.SenderReport {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.relays[relay].refused[user]
}
