package config

import (
	"fmt"
	"time"
)

func (f *UserFile) validate(k *checker) {
	k.version(f.Version)
	seen := map[identity]bool{}
	for i := range f.Users {
		u, prefix := &f.Users[i], fmt.Sprintf("users[%d].", i)
		u.validate(k, prefix)
		for _, id := range u.identities() {
			if seen[id] {
				k.failf(prefix+id.kind, "is already written above: give each user its own")
			}
			seen[id] = true
		}
	}
}

// Validate says what keeps a relay from reading the user. It matters before many users are
// written together: a file with one such user is refused as a whole.
func (u *User) Validate() error { return check(nil, func(k *checker) { u.validate(k, "") }) }

func (u *User) validate(k *checker, prefix string) {
	if !isUserName(u.Name) {
		k.failf(prefix+"name", "%q is not a user name: write 1 to %d characters", u.Name, longestUserName)
	}
	if len(u.Passwords) > MaxPasswords {
		k.failf(prefix+"passwords", "has %d passwords: leave the old one and the new one", len(u.Passwords))
	}
	for i, v := range u.Passwords {
		if err := v.Validate(); err != nil {
			k.failf(fmt.Sprintf("%spasswords[%d]", prefix, i), "%v: make a new one with \"relay verifier\"", err)
		}
	}
	u.validateProofs(k, prefix)
	for i, sender := range u.Senders {
		if !IsSender(sender) {
			k.failf(fmt.Sprintf("%ssenders[%d]", prefix, i),
				"%q is not a sender: write an address such as app@example.com, a domain such as example.com, \"*.example.com\" for its sub-domains, \"*\" for any or \"<>\" for the null sender", sender)
		}
	}
	for i, r := range u.Recipients {
		r.validate(k, fmt.Sprintf("%srecipients[%d].", prefix, i))
	}
	for i, r := range u.Rates {
		r.validate(k, fmt.Sprintf("%srates[%d]", prefix, i))
	}
	if u.OnExceed != "" {
		k.oneOf(prefix+"onExceed", u.OnExceed, OnExceedPace, OnExceedRefuse)
	}
	for name, n := range map[string]int64{"maxQueued": int64(u.MaxQueued), "maxSize": u.MaxSize, "maxRecipients": int64(u.MaxRecipients)} {
		if n < 0 {
			k.failf(prefix+name, "must be more than 0, or left out")
		}
	}
}

// longestPeriod is that of a rate of one a day, shared by a hundred relays.
const longestPeriod = 100 * 24 * time.Hour

func (r Rate) validate(k *checker, field string) {
	if r.Messages < 0 || r.Recipients < 0 || r.Messages+r.Recipients == 0 {
		k.failf(field, "limits nothing: write how many messages, recipients or both there may be in the period")
	}
	if r.Period < time.Second || r.Period > longestPeriod {
		k.failf(field+".period", "%s is not from 1s to %.0fh: write a period such as 1m", r.Period, longestPeriod.Hours())
	}
}
