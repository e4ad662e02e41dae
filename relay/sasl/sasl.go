// Package sasl is the server side of the SASL mechanisms that clients log in with
// (RFC 4422, RFC 4954), one file each.
package sasl

import (
	"errors"
	"fmt"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

var (
	// ErrCredentials means that the client did not prove to be the user it claims to be.
	// Its detail may tell whether there is such a user: it is for the log alone.
	ErrCredentials = errors.New("invalid credentials")
	// ErrMalformed means that a client's message does not follow the mechanism.
	ErrMalformed = errors.New("malformed message")
	// ErrUnknownMechanism means that the mechanism is not offered.
	ErrUnknownMechanism = errors.New("mechanism not offered")
)

// Exchange is one run of a mechanism. It has the shape that go-sasl's Server has.
type Exchange interface {
	// Next takes the client's message, nil when there is no initial response, and returns
	// the next challenge, or done when the client has logged in. Errors are ErrCredentials,
	// ErrMalformed, or trouble that is no verdict on the client.
	Next(response []byte) (challenge []byte, done bool, err error)
	// User is the name that the client claimed; whether it is that user only done tells.
	// It is empty until the client sent it.
	User() string
}

// Directory finds users.
type Directory interface {
	// Lookup returns the user of that name. The pointer stays the same for as long as the
	// user does not change.
	Lookup(name string) (*config.User, bool)
}

// Client is what a connection tells of a client before it logs in.
type Client struct {
	// Binding is the tls-exporter channel binding of the connection (RFC 9266). Without it
	// SCRAM-SHA-256-PLUS is not offered.
	Binding []byte
}

// Options are what Mechanisms need.
type Options struct {
	// Users may log in.
	Users Directory
	// DecoyKey returns the key of the salts that SCRAM shows for unknown users. Relays with
	// the same users need the same, or their answers differ for unknown users only. Nil or
	// empty is a key of this process.
	DecoyKey func() string
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Mechanisms are what clients may log in with. They may be used by many at once.
type Mechanisms struct {
	users     Directory
	passwords *passwords
	decoys    *decoys
}

// New makes the mechanisms.
func New(o Options) (*Mechanisms, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	p, err := newPasswords(o.Now)
	if err != nil {
		return nil, err
	}
	return &Mechanisms{users: o.Users, passwords: p, decoys: newDecoys(o.DecoyKey)}, nil
}

// mechanism is a row of the table of mechanisms.
type mechanism struct {
	name    string
	offered func(*Mechanisms, Client) bool
	start   func(attempt) Exchange
}

// table is in the order to show: some clients take the first that they know.
var table = []mechanism{
	{"PLAIN", always, func(a attempt) Exchange { return &plain{attempt: a} }},
	{"LOGIN", always, func(a attempt) Exchange { return &login{attempt: a} }},
	{"SCRAM-SHA-256", always, func(a attempt) Exchange { return &scramSHA256{attempt: a} }},
	{"SCRAM-SHA-256-PLUS", canBind, func(a attempt) Exchange { return &scramSHA256{attempt: a, plus: true} }},
}

func always(*Mechanisms, Client) bool { return true }

func canBind(_ *Mechanisms, c Client) bool { return len(c.Binding) > 0 }

// Names are the mechanisms offered to a client, in the order to show them.
func (m *Mechanisms) Names(c Client) []string {
	var names []string
	for _, row := range table {
		if row.offered(m, c) {
			names = append(names, row.name)
		}
	}
	return names
}

// Start begins a run of a mechanism, named in upper case. ErrUnknownMechanism when it is
// not offered to this client.
func (m *Mechanisms) Start(name string, c Client) (Exchange, error) {
	for _, row := range table {
		if row.name == name && row.offered(m, c) {
			return row.start(attempt{Mechanisms: m, client: c}), nil
		}
	}
	return nil, ErrUnknownMechanism
}

// attempt is what every mechanism starts with.
type attempt struct {
	*Mechanisms
	client Client
	// user is the name that the client claimed.
	user string
}

// User implements Exchange.
func (a *attempt) User() string { return a.user }

// find returns the user of that name who may log in on this connection. What the error
// says is for the log alone.
func (a *attempt) find(name string) (*config.User, error) {
	user, ok := a.users.Lookup(name)
	if !ok {
		return nil, fmt.Errorf("%w: there is no such user", ErrCredentials)
	}
	return user, nil
}

// checkPassword returns nil when the password is the user's, ErrCredentials when it is not
// or there is no such user, and another error when that cannot be known now.
func (a *attempt) checkPassword(name, password string) error {
	user, absent := a.find(name)
	if absent != nil {
		user = &config.User{}
	}
	if err := a.passwords.check(user, name, password); absent == nil {
		return err
	}
	return absent
}

// actAs checks the authorization identity. Many clients repeat the user there; to act as
// somebody else is nobody's right.
func (a *attempt) actAs(identity string) error {
	if identity != "" && identity != a.user {
		return fmt.Errorf("%w: the authorization identity is another user", ErrCredentials)
	}
	return nil
}
