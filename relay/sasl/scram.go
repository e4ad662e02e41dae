package sasl

import (
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/xdg-go/scram"
)

// scramStep is what the client sends next.
type scramStep int

const (
	scramFirst scramStep = iota
	scramFinal
	scramConfirm
	scramOver
)

// maxScramMessage bounds what a client can make us repeat.
const maxScramMessage = 4 * maxField

// scramSHA256 is SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677).
//
// The proof is checked against each of the user's verifiers that can be: the client is told
// one salt and one iteration count, those of the first. For every verifier there is a
// conversation with the same messages, and for users with less than two, or none, decoys.
type scramSHA256 struct {
	attempt
	plus  bool
	step  scramStep
	talks []*scram.ServerConversation
	// verifiers are those of the first talks.
	verifiers []*proven
	// failed is why the client cannot log in whatever it proves.
	failed error
}

// Next implements Exchange.
func (s *scramSHA256) Next(response []byte) ([]byte, bool, error) {
	if s.step == scramFirst && response == nil {
		return []byte{}, false, nil
	}
	step := s.step
	s.step++
	if len(response) > maxScramMessage {
		s.step = scramOver
		return nil, false, fmt.Errorf("%w: SCRAM has a message longer than %d octets", ErrMalformed, maxScramMessage)
	}
	var challenge string
	var err error
	switch step {
	case scramFirst:
		challenge, err = s.first(string(response))
	case scramFinal:
		challenge, err = s.final(string(response))
	case scramConfirm:
		// The server's signature was a challenge, since SMTP has no data with success
		// (RFC 4954 §4): the client takes it with an empty response.
		s.step = scramOver
		if len(response) == 0 {
			s.talks = nil
			return nil, true, nil
		}
		err = fmt.Errorf("%w: SCRAM ends with an empty response", ErrMalformed)
	default:
		err = ErrMalformed
	}
	if err != nil {
		s.step = scramOver
		return nil, false, err
	}
	return []byte(challenge), false, nil
}

// first answers the client-first-message with salt, iterations and a nonce.
func (s *scramSHA256) first(message string) (challenge string, err error) {
	var all []scram.StoredCredentials
	lookup := func(name string) (scram.StoredCredentials, error) {
		if all == nil {
			s.user = name
			all, s.failed = s.credentials(name)
		}
		return all[len(s.talks)], nil
	}
	nonce := rand.Text()
	for all == nil || len(s.talks) < len(all) {
		talk, err := s.talk(lookup, nonce)
		if err != nil {
			return "", err
		}
		if challenge, err = talk.Step(message); err != nil {
			return "", scramError(challenge)
		}
		s.talks = append(s.talks, talk)
	}
	return challenge, nil
}

func (s *scramSHA256) talk(lookup scram.CredentialLookup, nonce string) (*scram.ServerConversation, error) {
	server, err := scram.SHA256.NewServer(lookup)
	if err != nil {
		return nil, fmt.Errorf("SCRAM: %w", err)
	}
	server.WithNonceGenerator(func() string { return nonce })
	binding := scram.ChannelBinding{Type: scram.ChannelBindingTLSExporter, Data: s.client.Binding}
	switch {
	case s.plus:
		return server.NewConversationWithChannelBindingRequired(binding), nil
	case len(s.client.Binding) > 0:
		return server.NewConversationWithChannelBinding(binding), nil
	}
	return server.NewConversation(), nil
}

// credentials are what the proof is checked against, at least checksPerFailure. The error
// is why none of them will do; only the log may show it.
func (s *scramSHA256) credentials(name string) ([]scram.StoredCredentials, error) {
	decoy := s.decoys.of(name)
	var all []scram.StoredCredentials
	user, err := s.find(name)
	if err == nil {
		for _, v := range user.PasswordsAt(s.passwords.now()) {
			c, broken := v.Credentials()
			if broken != nil {
				err = fmt.Errorf("user %q: %w", name, broken)
			} else if len(all) == 0 || c.KeyFactors == all[0].KeyFactors {
				all = append(all, c)
				s.verifiers = append(s.verifiers, new(proven(v)))
			}
		}
	}
	if len(all) > 0 {
		decoy, err = s.decoys.like(all[0].KeyFactors), nil
	}
	for len(all) < checksPerFailure {
		all = append(all, decoy)
	}
	return all, err
}

// final answers the client-final-message with the server's signature.
func (s *scramSHA256) final(message string) (string, error) {
	var signature, refusal string
	for i, talk := range s.talks {
		answer, err := talk.Step(message)
		if err == nil {
			signature = answer
			s.prove(s.verifiers[i]) // a decoy cannot be proved
			continue
		}
		refusal = answer
	}
	if signature != "" {
		return signature, s.actAs(s.talks[0].AuthzID())
	}
	// What is wrong with the message comes first, as that is the same for every user.
	err := scramError(refusal)
	if errors.Is(err, ErrMalformed) || s.failed == nil {
		return "", err
	}
	return "", s.failed
}

// scramError turns an answer of the scram package into an error. Its own errors repeat what
// the client sent.
func scramError(answer string) error {
	switch answer {
	case scram.ErrInvalidProof:
		return ErrCredentials
	case scram.ErrChannelBindingsDontMatch:
		return fmt.Errorf("%w: the channel binding is of another connection: somebody may sit in between", ErrCredentials)
	case scram.ErrServerDoesSupportChannelBinding:
		return fmt.Errorf("%w: the client does not bind to the channel although SCRAM-SHA-256-PLUS is offered: somebody may have hidden it", ErrCredentials)
	case "":
		return fmt.Errorf("%w: not a message of SCRAM", ErrMalformed)
	}
	return fmt.Errorf("%w: SCRAM: %s", ErrMalformed, answer)
}
