package sasl

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// checksPerFailure is how many verifiers every failed login is checked against, so that its
// time does not tell whether there is such a user, nor whether one is between an old and a
// new password.
const checksPerFailure = 2

// Directory finds users.
type Directory interface {
	// Lookup returns the user of that name. The pointer stays the same for as long as the
	// user does not change.
	Lookup(name string) (*config.User, bool)
}

// Passwords checks passwords against the verifiers of a Directory. A check takes most of a
// millisecond by design, so logins that worked are remembered for a while; of the password
// only a keyed hash is. It may be used by many at once.
type Passwords struct {
	users  Directory
	nobody config.Verifier
	key    [sha256.Size]byte
	cache  *cache
}

// NewPasswords checks passwords of the directory's users. The clock may be nil for the real one.
func NewPasswords(users Directory, now func() time.Time) (*Passwords, error) {
	nobody, err := config.NewVerifier(rand.Text())
	if err != nil {
		return nil, fmt.Errorf("make the verifier of unknown users: %w", err)
	}
	if now == nil {
		now = time.Now
	}
	p := &Passwords{users: users, nobody: nobody, cache: newCache(cacheSize, cacheLifetime, now)}
	_, _ = rand.Read(p.key[:])
	return p, nil
}

// CheckPassword implements PasswordChecker.
func (p *Passwords) CheckPassword(name, password string) error {
	user, known := p.users.Lookup(name)
	if !known {
		user = &config.User{}
	}
	login := p.hash(name, password)
	if p.cache.has(login, user) {
		return nil
	}
	ok, err := p.verify(user, password)
	switch {
	case err != nil:
		return fmt.Errorf("user %q: %w", name, err)
	case !ok:
		return ErrCredentials
	}
	p.cache.add(login, user)
	return nil
}

// verify checks the password against each of the user's verifiers, and against the one of
// nobody until the work of a failure is done.
func (p *Passwords) verify(user *config.User, password string) (bool, error) {
	var failed error
	for _, v := range user.Passwords {
		ok, err := v.Check(password)
		if ok {
			return true, nil
		}
		if err != nil {
			failed = err
		}
	}
	for range checksPerFailure - len(user.Passwords) {
		if _, err := p.nobody.Check(password); err != nil {
			failed = err
		}
	}
	return false, failed
}

// hash identifies a pair of name and password without holding either.
func (p *Passwords) hash(name, password string) loginHash {
	mac := hmac.New(sha256.New, p.key[:])
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(name)))
	mac.Write(size[:])
	mac.Write([]byte(name))
	mac.Write([]byte(password))
	var sum loginHash
	mac.Sum(sum[:0])
	return sum
}
