package sasl

import (
	"bytes"
	"fmt"
)

const (
	plainName = "PLAIN"
	// maxField bounds authzid, authcid and passwd (RFC 4616 §2 allows as much).
	maxField = 255 * 4
)

// plain is the PLAIN mechanism (RFC 4616).
type plain struct {
	passwords PasswordChecker
	user      string
	over      bool
}

// Next implements Exchange.
func (p *plain) Next(response []byte) ([]byte, bool, error) {
	if p.over {
		return nil, false, ErrMalformed
	}
	if response == nil {
		return []byte{}, false, nil
	}
	p.over = true
	fields := bytes.Split(response, []byte{0})
	if len(fields) != 3 {
		return nil, false, fmt.Errorf("%w: PLAIN has %d parts, not authorization identity, user and password", ErrMalformed, len(fields))
	}
	identity, user, password := string(fields[0]), string(fields[1]), string(fields[2])
	if len(identity) > maxField || len(user) > maxField || len(password) > maxField {
		return nil, false, fmt.Errorf("%w: PLAIN has a part longer than %d octets", ErrMalformed, maxField)
	}
	p.user = user
	if err := p.passwords.CheckPassword(user, password); err != nil {
		return nil, false, err
	}
	// Many clients repeat the user as authorization identity. To act as somebody else is
	// nobody's right; that answer comes after the check, to tell nothing without a password.
	if identity != "" && identity != user {
		return nil, false, fmt.Errorf("%w: the authorization identity is another user", ErrCredentials)
	}
	return nil, true, nil
}

// User implements Exchange.
func (p *plain) User() string { return p.user }
