package sasl

import (
	"bytes"
	"fmt"
)

// maxField bounds authzid, authcid and passwd (RFC 4616 §2 allows as much).
const maxField = 255 * 4

// plain is the PLAIN mechanism (RFC 4616).
type plain struct {
	attempt
	over bool
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
	if err := p.checkPassword(user, password); err != nil {
		return nil, false, err
	}
	// After the password, to tell nothing without one.
	if err := p.actAs(identity); err != nil {
		return nil, false, err
	}
	return nil, true, nil
}
