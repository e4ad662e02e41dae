package controllers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// keyring holds the keys of client certificates from when they are made until the relays' loop
// has seen them in the Secrets of their apps. They are nowhere else: an operator that restarts
// makes others.
type keyring struct {
	mu   sync.Mutex
	keys map[types.NamespacedName]*newKey
}

// newKey is a key of a user whose certificate is under way.
type newKey struct {
	user  types.UID
	relay types.NamespacedName
	// signer is the Issuer that is asked.
	signer string
	key    *ecdsa.PrivateKey
	// name is the KeyName.
	name string
	// request is what the CA is asked to sign, as PEM, in the CertificateRequest of that name.
	request     []byte
	requestName string
	made        time.Time
	// refusal says why the key before this one got no certificate, empty when it was not asked for.
	// It holds until this one's request is answered.
	refusal string
	// first is set when the user had none before.
	first bool
	// used is set when it is in the Secret: it is kept until the relay's loop has seen it there.
	used bool
}

// of returns the key of a user that is under way, nil when there is none.
func (k *keyring) of(user *v1alpha1.RelayUser) *newKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	found := k.keys[client.ObjectKeyFromObject(user)]
	if found == nil || found.user != user.UID || found.relay != relayRef(user) {
		return nil
	}
	return found
}

// make returns the key of a user that this signer is asked about, a new one when there is none
// that is not in the Secret yet.
func (k *keyring) make(relay *v1alpha1.MailRelay, user *v1alpha1.RelayUser, signer string, now time.Time) (*newKey, error) {
	if found := k.of(user); found != nil && found.signer == signer && !k.isUsed(found) {
		return found, nil
	}
	return k.begin(relay, user, signer, now, "")
}

// begin makes a new key of a user, in the place of one that was refused if it was.
func (k *keyring) begin(relay *v1alpha1.MailRelay, user *v1alpha1.RelayUser, signer string, now time.Time, refusal string) (*newKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	fresh := &newKey{
		user: user.UID, relay: relayRef(user), signer: signer, key: key, made: now, refusal: refusal, first: certificateOf(user) == nil,
	}
	if fresh.name, err = resources.KeyName(key.Public()); err != nil {
		return nil, err
	}
	fresh.requestName = resources.RequestName(relay, fresh.name)
	if fresh.request, err = resources.SigningRequest(user, key); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil {
		k.keys = map[types.NamespacedName]*newKey{}
	}
	k.keys[client.ObjectKeyFromObject(user)] = fresh
	return fresh, nil
}

// awaits reports whether a user's key waits for the CertificateRequest of that name.
func (k *keyring) awaits(request string, user types.NamespacedName) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	found := k.keys[user]
	return found != nil && found.requestName == request && !found.used
}

// underWay reports whether a user has a key that is not in the Secret yet.
func (k *keyring) underWay(user types.NamespacedName) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	found := k.keys[user]
	return found != nil && !found.used
}

func (k *keyring) isUsed(key *newKey) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return key.used
}

// use notes that the Secret of a user holds the key of that name, if it is the user's next one.
func (k *keyring) use(user types.NamespacedName, name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if found := k.keys[user]; found != nil && found.name == name {
		found.used = true
	}
}

// written forgets the key of a user that the relay's loop has seen in the Secret.
func (k *keyring) written(user types.NamespacedName, name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if found := k.keys[user]; found != nil && found.name == name {
		delete(k.keys, user)
	}
}

// cancel forgets the key of a user that is not wanted any more, unless the Secret holds it.
func (k *keyring) cancel(user types.NamespacedName) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if found := k.keys[user]; found != nil && !found.used {
		delete(k.keys, user)
	}
}

// drop forgets the key of a user who has no use for one.
func (k *keyring) drop(user types.NamespacedName) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.keys, user)
}
