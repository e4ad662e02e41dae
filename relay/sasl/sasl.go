// Package sasl is the server side of the SASL mechanisms that clients log in with
// (RFC 4422, RFC 4954), one file each.
package sasl

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

var (
	// ErrCredentials means that the client did not prove to be the user it claims to be.
	// Its detail may tell whether there is such a user: it is for the log alone.
	ErrCredentials = errors.New("invalid credentials")
	// ErrMalformed means that a client's message does not follow the mechanism.
	ErrMalformed = errors.New("malformed message")
	// ErrNeedsSecret means that the client's certificate is right, and that the user must log
	// in with a password or token as well.
	ErrNeedsSecret = errors.New("the certificate alone is not enough for this user")
	// ErrUnknownKey means that a token fits but for its signature, which cannot be judged: its
	// key may be too new to be known here, or made up. It is no verdict on the client, and not
	// for free either.
	ErrUnknownKey = errors.New("the key that signed the token is not known")
	// ErrUnknownMechanism means that the mechanism is not offered.
	ErrUnknownMechanism = errors.New("mechanism not offered")
)

// Exchange is one run of a mechanism. It has the shape that go-sasl's Server has.
type Exchange interface {
	// Next takes the client's message, nil when there is no initial response, and returns
	// the next challenge, or done when the client has logged in. Errors are ErrCredentials,
	// ErrMalformed, ErrNeedsSecret, ErrUnknownKey, or trouble that is no verdict on the client. A challenge
	// that comes with an error is the mechanism's own word on it: it is to be sent first, and
	// whatever the client answers the login has failed.
	Next(response []byte) (challenge []byte, done bool, err error)
	// User is the name that the client claimed; whether it is that user only done tells.
	// It is empty until the client sent it.
	User() string
	// Holds reports whether what the client has logged in with still lets that user in: users,
	// passwords, tokens and certificates are taken away while connections are open.
	Holds() bool
	// Password is the verifier of the password that the client has logged in with; false when
	// it did so by other means.
	Password() (config.Verifier, bool)
}

// Directory finds users.
type Directory interface {
	// Lookup returns the user of that name. The pointer stays the same for as long as the
	// user does not change.
	Lookup(name string) (*config.User, bool)
	// ByCertificate returns the user with that entry in config.User.Certificates.
	ByCertificate(name string) (*config.User, bool)
}

// Client is what a connection tells of a client before it logs in.
type Client struct {
	// Address the client connected from; clients of one network share its turns at having
	// passwords checked.
	Address netip.Addr
	// Binding is the tls-exporter channel binding of the connection (RFC 9266). Without it
	// SCRAM-SHA-256-PLUS is not offered.
	Binding []byte
	// Certificate are the CertificateNames of the client's certificate, if it showed one and
	// a CA of users vouches for it. Without it EXTERNAL is not offered.
	Certificate []string
	// Vouched reports whether a CA of users still vouches for that certificate, and it has not
	// ended. It may be called by many at once; nil means that it always is so.
	Vouched func() bool
}

// Options are what Mechanisms need.
type Options struct {
	// Users may log in.
	Users Directory
	// Tokens validates bearer tokens; OAUTHBEARER and XOAUTH2 are not offered when nil.
	Tokens TokenValidator
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
	tokens    TokenValidator
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
	return &Mechanisms{users: o.Users, tokens: o.Tokens, passwords: p, decoys: newDecoys(o.DecoyKey)}, nil
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
	{"OAUTHBEARER", haveTokens, newOAuthBearer},
	{"XOAUTH2", haveTokens, newXOAuth2},
	{"EXTERNAL", showsCertificate, func(a attempt) Exchange { return &external{attempt: a} }},
}

func always(*Mechanisms, Client) bool { return true }

func canBind(_ *Mechanisms, c Client) bool { return len(c.Binding) > 0 }

func haveTokens(m *Mechanisms, _ Client) bool { return m.tokens != nil && m.tokens.HaveTokens() }

func showsCertificate(_ *Mechanisms, c Client) bool { return len(c.Certificate) > 0 }

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
	// proof reports whether a user has what the client proved to have; nil before it did.
	proof func(*config.User) bool
	// password is what it logged in with, if that was one.
	password *proven
}

// User implements Exchange.
func (a *attempt) User() string { return a.user }

// Holds implements Exchange.
func (a *attempt) Holds() bool {
	user, err := a.find(a.user)
	return err == nil && a.proof != nil && a.proof(user)
}

// Password implements Exchange.
func (a *attempt) Password() (config.Verifier, bool) {
	if a.password == nil {
		return config.Verifier{}, false
	}
	return config.Verifier(*a.password), true
}

// prove notes the verifier of the password that the client knows; nil when it knows none.
func (a *attempt) prove(v *proven) {
	a.password = v
	a.proof = func(user *config.User) bool { return v.isOf(user, a.passwords.now()) }
}

// find returns the user of that name who may log in on this connection with a password or
// token. A user who needs a certificate as well is not found without it, so that the answer
// cannot tell whether the password was right. What the error says is for the log alone.
func (a *attempt) find(name string) (*config.User, error) {
	user, ok := a.users.Lookup(name)
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: there is no such user", ErrCredentials)
	case user.Require == config.RequireAll && !a.client.shows(user, a.passwords.now()):
		return nil, fmt.Errorf("%w: the user needs a client certificate as well, and did not show it", ErrCredentials)
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
	fits, err := a.passwords.check(user, name, password, a.client.Address)
	if absent != nil {
		return absent
	}
	a.prove(fits)
	return err
}

// actAs checks the authorization identity. Many clients repeat the user there; to act as
// somebody else is nobody's right.
func (a *attempt) actAs(identity string) error {
	if identity != "" && identity != a.user {
		return fmt.Errorf("%w: the authorization identity is another user", ErrCredentials)
	}
	return nil
}
