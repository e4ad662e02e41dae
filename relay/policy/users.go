// Package policy decides who may log in, as whom each user may send, to whom and how fast.
package policy

import (
	"reflect"
	"sync/atomic"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// Users is the set of users that may log in. It is replaced as a whole while others read
// it. The zero Users holds none.
type Users struct {
	current atomic.Pointer[index]
}

// index finds users by what they have.
type index struct {
	byName, byCertificate, byToken map[string]*config.User
	// bySubject may find several: one service account can have users for several purposes.
	bySubject map[string][]*config.User
}

// Replace puts a new set in place of the old one. A user who did not change keeps the
// pointer that Lookup returns, so that a different pointer means a changed user.
func (u *Users) Replace(users map[string]config.User) {
	old := u.load()
	next := &index{
		byName:        make(map[string]*config.User, len(users)),
		byCertificate: map[string]*config.User{},
		byToken:       map[string]*config.User{},
		bySubject:     map[string][]*config.User{},
	}
	for name, user := range users {
		if known, ok := old.byName[name]; ok && reflect.DeepEqual(*known, user) {
			next.add(name, known)
			continue
		}
		next.add(name, &user)
	}
	u.current.Store(next)
}

func (i *index) add(name string, user *config.User) {
	i.byName[name] = user
	for _, certificate := range user.Certificates {
		i.byCertificate[certificate] = user
	}
	for _, hash := range user.Tokens {
		i.byToken[hash] = user
	}
	for _, subject := range user.Subjects {
		i.bySubject[subject] = append(i.bySubject[subject], user)
	}
}

// Lookup returns the user of that SASL name. What it points at must not be changed.
func (u *Users) Lookup(name string) (*config.User, bool) {
	user, ok := u.load().byName[name]
	return user, ok
}

// ByCertificate returns the user with that entry in config.User.Certificates.
func (u *Users) ByCertificate(name string) (*config.User, bool) {
	user, ok := u.load().byCertificate[name]
	return user, ok
}

// ByToken returns the user with that entry in config.User.Tokens.
func (u *Users) ByToken(hash string) (*config.User, bool) {
	user, ok := u.load().byToken[hash]
	return user, ok
}

// HaveTokens reports whether any user has a token.
func (u *Users) HaveTokens() bool { return len(u.load().byToken) > 0 }

// BySubject returns the users with that entry in config.User.Subjects.
func (u *Users) BySubject(subject string) []*config.User { return u.load().bySubject[subject] }

// HaveSubjects reports whether any user has a subject.
func (u *Users) HaveSubjects() bool { return len(u.load().bySubject) > 0 }

// Len is the number of users.
func (u *Users) Len() int { return len(u.load().byName) }

func (u *Users) load() *index {
	if i := u.current.Load(); i != nil {
		return i
	}
	return &index{}
}
