package config

import (
	"slices"
	"time"
)

// UserFile is a file of users. The operator writes sixteen of them, so that a change of
// one user rewrites a small Secret.
type UserFile struct {
	// Version is the format version: 1.
	Version int    `yaml:"version"`
	Users   []User `yaml:"users"`
}

// MaxPasswords is how many passwords a user may have: an old one and a new one. Each failed
// login is checked against as many, so that its time tells nothing of the user.
const MaxPasswords = 2

// User is who may log in, and as whom they may send.
type User struct {
	// Name is the SASL user name.
	Name string `yaml:"name"`
	// ID is the operator's own: it tells the user from one of the same name who was removed, and
	// whose passwords must not come back. The relay has no use for it.
	ID string `yaml:"id,omitempty"`
	// Passwords are the verifiers of the user's passwords, the newest first; any of them is
	// accepted, so that an old and a new password overlap in a rotation; MaxPasswords at
	// most. SCRAM accepts those that have the salt and iterations of the first (see
	// Verifier.Successor).
	Passwords []Verifier `yaml:"passwords,omitempty"`
	// PreviousUntil is when all passwords but the first end, and marks them as replaced; without
	// it they work for as long as they are here.
	PreviousUntil time.Time `yaml:"previousUntil,omitempty"`
	// Certificates are names that a client certificate of the user may have, each with its
	// kind: "URI:mailrelay://shop/app", "DNS:app.shop.example", "email:app@example.com" or,
	// for the common name of the subject of one without alternative names, "CN:app". A URI that
	// ends in a KeyName, as those of the operator do, is bound to that key.
	Certificates []string `yaml:"certificates,omitempty"`
	// CertificateEnds are when names among Certificates end; one that is not here works for as
	// long as it is there.
	CertificateEnds []CertificateEnd `yaml:"certificateEnds,omitempty"`
	// Tokens are the SHA-256 hashes, in hex, of the user's bearer tokens. Tokens must be
	// random, with 128 bits or more: a hash of one that can be guessed can be turned back.
	Tokens []string `yaml:"tokens,omitempty"`
	// Subjects are those of signed tokens (the claim "sub") that the user logs in with, such as
	// "system:serviceaccount:shop:checkout". Several users may have the same: which of them it
	// is the client then says by its name.
	Subjects []string `yaml:"subjects,omitempty"`
	// Require is RequireAny (default) or RequireAll.
	Require string `yaml:"require,omitempty"`
	// Senders are the addresses ("app@example.com"), domains ("example.com") and sub-domains
	// ("*.example.com") that the user may send as: those that the user really has. None means
	// none; "*" means any address, "<>" the null reverse-path.
	Senders []string `yaml:"senders,omitempty"`
	// Recipients say to whom the user may send; all of them hold, and those of the relay.
	Recipients []Recipients `yaml:"recipients,omitempty"`
	// Rates bound how fast the user's mail is delivered; all of them hold.
	Rates []Rate `yaml:"rates,omitempty"`
	// OnExceed is what becomes of messages that come faster than Rates: Pace (default) accepts
	// them and delivers them at the rate, Refuse refuses them with 450.
	OnExceed string `yaml:"onExceed,omitempty"`
	// MaxQueued is how many messages of the user may wait for delivery before more are refused
	// with 450. Default 10000 with Rates, without bound without.
	MaxQueued int `yaml:"maxQueued,omitempty"`
	// MaxSize of a message in bytes, when it is less than that of the relay.
	MaxSize int64 `yaml:"maxSize,omitempty"`
	// MaxRecipients of one message, when it is less than that of the relay.
	MaxRecipients int `yaml:"maxRecipients,omitempty"`
}

// PasswordsAt are the verifiers that are accepted at that time.
func (u *User) PasswordsAt(now time.Time) []Verifier {
	if len(u.Passwords) < 2 || u.PreviousUntil.IsZero() || now.Before(u.PreviousUntil) {
		return u.Passwords
	}
	return u.Passwords[:1]
}

// CertificateEnd is when the user is no longer known by a name in a client certificate.
type CertificateEnd struct {
	Name  string    `yaml:"name"`
	Until time.Time `yaml:"until"`
}

// CertificateAt reports whether a name in a client certificate is the user's at that time.
func (u *User) CertificateAt(name string, now time.Time) bool {
	ended := func(end CertificateEnd) bool { return end.Name == name && !now.Before(end.Until) }
	return slices.Contains(u.Certificates, name) && !slices.ContainsFunc(u.CertificateEnds, ended)
}

// Replaced reports whether a verifier is of a password that another has taken the place of.
func (u *User) Replaced(v Verifier) bool {
	return !u.PreviousUntil.IsZero() && len(u.Passwords) > 1 && slices.Contains(u.Passwords[1:], v)
}

// Rate is how many messages and recipients there may be in a period, whenever it begins. Zero
// is without bound.
type Rate struct {
	Messages   int `yaml:"messages,omitempty"`
	Recipients int `yaml:"recipients,omitempty"`
	// Period is from a second to a hundred days.
	Period time.Duration `yaml:"period"`
}

// What User.OnExceed can be.
const (
	OnExceedPace   = "Pace"
	OnExceedRefuse = "Refuse"
)

// DefaultMaxQueued is the MaxQueued of users with Rates.
const DefaultMaxQueued = 10_000

// setDefaults gives every field that is zero its default.
func (f *UserFile) setDefaults() {
	for i := range f.Users {
		if u := &f.Users[i]; len(u.Rates) > 0 {
			setDefault(&u.OnExceed, OnExceedPace)
			setDefault(&u.MaxQueued, DefaultMaxQueued)
		}
	}
}

// What User.Require can be.
const (
	// RequireAny lets the user log in with any one of what is set.
	RequireAny = "Any"
	// RequireAll wants two factors: a certificate in the TLS handshake, and a password or a
	// token.
	RequireAll = "All"
)

// identity is what only one user can have: its name, or what logs in without one. The kind
// is the name of the field.
type identity struct{ kind, value string }

func (u *User) identities() []identity {
	all := []identity{{"name", u.Name}}
	for _, name := range u.Certificates {
		all = append(all, identity{"certificates", name})
	}
	for _, hash := range u.Tokens {
		all = append(all, identity{"tokens", hash})
	}
	return all
}

// Verifier is a SCRAM-SHA-256 verifier of a password (RFC 5802 §3, RFC 7677). It checks a
// password and cannot be turned back into one. Byte strings are base64.
type Verifier struct {
	Iterations int    `yaml:"iterations"`
	Salt       string `yaml:"salt"`
	StoredKey  string `yaml:"storedKey"`
	ServerKey  string `yaml:"serverKey"`
}
