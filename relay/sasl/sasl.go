// Package sasl is the server side of the SASL mechanisms that clients log in with
// (RFC 4422, RFC 4954): PLAIN (RFC 4616) and LOGIN, against SCRAM-SHA-256 verifiers.
package sasl

import "errors"

var (
	// ErrCredentials means that the client did not prove to be the user it claims to be.
	// It does not tell whether there is such a user.
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

// PasswordChecker checks a password.
type PasswordChecker interface {
	// CheckPassword returns nil when it is the user's, ErrCredentials when it is not or
	// there is no such user, and another error when that cannot be known now.
	CheckPassword(user, password string) error
}

// Mechanisms are what clients may log in with.
type Mechanisms struct {
	passwords PasswordChecker
}

// NewMechanisms offers the mechanisms that work with passwords.
func NewMechanisms(passwords PasswordChecker) *Mechanisms {
	return &Mechanisms{passwords: passwords}
}

// Names are the mechanisms offered, in the order to show them.
func (m *Mechanisms) Names() []string { return []string{plainName, loginName} }

// Start begins a run of a mechanism, named in upper case. ErrUnknownMechanism when it is
// not offered.
func (m *Mechanisms) Start(name string) (Exchange, error) {
	switch name {
	case plainName:
		return &plain{passwords: m.passwords}, nil
	case loginName:
		return &login{passwords: m.passwords}, nil
	}
	return nil, ErrUnknownMechanism
}
