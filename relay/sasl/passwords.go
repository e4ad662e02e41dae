package sasl

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

const (
	// checksPerFailure is how many verifiers every failed login is checked against, so that
	// its time does not tell whether there is such a user, nor whether one is between an old
	// and a new password.
	checksPerFailure = config.MaxPasswords

	// knownLogins has room for the 5,000 users of a full relay, with two passwords each. One takes
	// 160 bytes.
	knownLogins   = 12 << 10
	loginLifetime = 10 * time.Minute
)

// pairHash stands for a user name and something that goes with it.
type pairHash [sha256.Size]byte

// passwords checks passwords. A check takes most of a millisecond by design, so logins that
// worked are remembered for a while; of the password only a keyed hash is. Checks take half
// of the processors at most: the others are for those who have logged in.
type passwords struct {
	turns  *turns
	now    func() time.Time
	nobody config.Verifier
	key    [sha256.Size]byte
	// known are the verifiers of logins that worked, worth nothing once their user has others.
	known *memory[pairHash, *proven]
}

// proven is a verifier that a password was found to fit.
type proven config.Verifier

// isOf reports whether the user has the verifier, and it has not ended.
func (v *proven) isOf(user *config.User, now time.Time) bool {
	return v != nil && slices.Contains(user.PasswordsAt(now), config.Verifier(*v))
}

func newPasswords(now func() time.Time) (*passwords, error) {
	nobody, err := config.NewVerifier(rand.Text())
	if err != nil {
		return nil, fmt.Errorf("make the verifier of unknown users: %w", err)
	}
	p := &passwords{
		turns:  newTurns(max(1, runtime.GOMAXPROCS(0)/2)),
		now:    now,
		nobody: nobody,
		known:  newMemory[pairHash, *proven](knownLogins, loginLifetime, now),
	}
	_, _ = rand.Read(p.key[:])
	return p, nil
}

// check returns the verifier when the password is the user's and ErrCredentials when it is
// not. The name is the one that the client claimed, from its address.
func (p *passwords) check(user *config.User, name, password string, client netip.Addr) (*proven, error) {
	login := hashPair(p.key[:], name, password)
	if known := p.known.get(login); known.isOf(user, p.now()) {
		return known, nil
	}
	var found *proven
	var err error
	p.turns.do(network(client), func() { found, err = p.verify(user, password) })
	switch {
	case err != nil:
		return nil, fmt.Errorf("user %q: %w", name, err)
	case found == nil:
		return nil, ErrCredentials
	}
	return p.known.update(login, func(*proven) *proven { return found }), nil
}

// verify checks the password against each of the user's verifiers, and against the one of
// nobody until the work of a failure is done. It returns nil for a wrong password.
func (p *passwords) verify(user *config.User, password string) (*proven, error) {
	var failed error
	passwords := user.PasswordsAt(p.now())
	for _, v := range passwords {
		ok, err := v.Check(password)
		if ok {
			return new(proven(v)), nil
		}
		if err != nil {
			failed = err
		}
	}
	for range checksPerFailure - len(passwords) {
		if _, err := p.nobody.Check(password); err != nil {
			failed = err
		}
	}
	return nil, failed
}

// hashPair identifies a pair without holding either part.
func hashPair(key []byte, name, with string) pairHash {
	mac := hmac.New(sha256.New, key)
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(name)))
	mac.Write(size[:])
	mac.Write([]byte(name))
	mac.Write([]byte(with))
	var sum pairHash
	mac.Sum(sum[:0])
	return sum
}
