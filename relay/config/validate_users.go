package config

import "fmt"

func (f *UserFile) validate(k *checker) {
	k.version(f.Version)
	seen := map[string]bool{}
	for i := range f.Users {
		u, field := &f.Users[i], fmt.Sprintf("users[%d]", i)
		u.validate(k, field+".")
		if seen[u.Name] {
			k.failf(field+".name", "%q is the name of two users: give each its own", u.Name)
		}
		seen[u.Name] = true
	}
}

func (u *User) validate(k *checker, prefix string) {
	if !isUserName(u.Name) {
		k.failf(prefix+"name", "%q is not a user name: write 1 to %d characters", u.Name, longestUserName)
	}
	for i, v := range u.Passwords {
		if err := v.Validate(); err != nil {
			k.failf(fmt.Sprintf("%spasswords[%d]", prefix, i), "%v: make a new one with \"relay verifier\"", err)
		}
	}
	for i, sender := range u.Senders {
		if !IsSender(sender) {
			k.failf(fmt.Sprintf("%ssenders[%d]", prefix, i),
				"%q is not a sender: write an address such as app@example.com, a domain such as example.com, \"*.example.com\" for its sub-domains, \"*\" for any or \"<>\" for the null sender", sender)
		}
	}
}
