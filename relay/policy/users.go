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
	byName atomic.Pointer[map[string]*config.User]
}

// Replace puts a new set in place of the old one. A user who did not change keeps the
// pointer that Lookup returns, so that a different pointer means a changed user.
func (u *Users) Replace(users map[string]config.User) {
	old := u.load()
	byName := make(map[string]*config.User, len(users))
	for name, user := range users {
		if known, ok := old[name]; ok && reflect.DeepEqual(*known, user) {
			byName[name] = known
			continue
		}
		byName[name] = &user
	}
	u.byName.Store(&byName)
}

// Lookup returns the user of that SASL name. What it points at must not be changed.
func (u *Users) Lookup(name string) (*config.User, bool) {
	user, ok := u.load()[name]
	return user, ok
}

// Len is the number of users.
func (u *Users) Len() int { return len(u.load()) }

func (u *Users) load() map[string]*config.User {
	if m := u.byName.Load(); m != nil {
		return *m
	}
	return nil
}
