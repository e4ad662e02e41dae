package controllers

import (
	"slices"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// take takes up the password that a Secret holds. The verifier of it is the one that pods know,
// where they do; the one that was the present one until now becomes the one before.
func (p *proofs) take(h heldPassword) error {
	p.leaked = h.leaked
	verifiers := p.passwords
	if p.next.preparation != nil {
		verifiers = append(slices.Clone(verifiers), p.next.verifier)
		p.next = nextPassword{}
	}
	at, err := fitting(verifiers, string(h.password))
	if err != nil {
		return err
	}
	var previous []config.Verifier
	switch {
	case at == 0 && !p.previousUntil.IsZero():
		previous = p.passwords[1:]
	case at != 0 && len(verifiers) > 0:
		previous = verifiers[:1]
	}
	present, err := verifierOf(verifiers, at, string(h.password))
	if err != nil {
		return err
	}
	p.passwords = append([]config.Verifier{present}, previous...)
	if !h.previousUntil.IsZero() {
		p.previousUntil = h.previousUntil
	}
	return nil
}

// fitting is where the verifier of a password is, -1 when it is not there.
func fitting(verifiers []config.Verifier, password string) (int, error) {
	for i, verifier := range verifiers {
		ok, err := verifier.Check(password)
		if err != nil {
			return 0, err
		}
		if ok {
			return i, nil
		}
	}
	return -1, nil
}

// verifierOf is the one at that place, or a new one, which SCRAM can have beside the first.
func verifierOf(verifiers []config.Verifier, at int, password string) (config.Verifier, error) {
	switch {
	case at >= 0:
		return verifiers[at], nil
	case len(verifiers) > 0:
		return verifiers[0].Successor(password)
	default:
		return config.NewVerifier(password)
	}
}

// expire drops the password before the present one when its time is over. One without a time is
// of a preparation that the operator did not live to end.
func (p *proofs) expire(now time.Time) {
	if len(p.passwords) > 1 && !now.Before(p.previousUntil) {
		p.passwords = p.passwords[:1]
	}
	if len(p.passwords) < 2 {
		p.previousUntil = time.Time{}
	}
}

// forgetPasswords ends them. The Secret is read again: what it holds may count again later.
func (p *proofs) forgetPasswords() {
	if len(p.passwords) > 0 {
		p.passwords, p.previousUntil, p.next, p.version = nil, time.Time{}, nextPassword{}, version{}
	}
}

// prepare adds the verifier of the next password, or drops it when it is not wanted any more.
func (p *proofs) prepare(wanted *preparation) error {
	if p.next.preparation == wanted || len(p.passwords) == 0 {
		return nil
	}
	p.next = nextPassword{}
	if wanted == nil {
		return nil
	}
	verifier, err := p.passwords[0].Successor(wanted.password)
	if err != nil {
		return err
	}
	p.next = nextPassword{wanted, verifier}
	return nil
}
