package sasl

import "fmt"

// loginStep is what the client sends next.
type loginStep int

const (
	loginUser loginStep = iota
	loginPassword
	loginOver
)

// login is the LOGIN mechanism. It has no RFC; clients look for these two challenges
// (draft-murchison-sasl-login) and some send the user as initial response.
type login struct {
	attempt
	step loginStep
}

// Next implements Exchange.
func (l *login) Next(response []byte) ([]byte, bool, error) {
	if l.step == loginUser && response == nil {
		return []byte("Username:"), false, nil
	}
	if len(response) > maxField {
		l.step = loginOver
		return nil, false, fmt.Errorf("%w: LOGIN has a part longer than %d octets", ErrMalformed, maxField)
	}
	switch l.step {
	case loginUser:
		l.user, l.step = string(response), loginPassword
		return []byte("Password:"), false, nil
	case loginPassword:
		l.step = loginOver
		if err := l.checkPassword(l.user, string(response)); err != nil {
			return nil, false, err
		}
		return nil, true, nil
	}
	return nil, false, ErrMalformed
}
