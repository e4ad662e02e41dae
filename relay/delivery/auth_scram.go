package delivery

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
)

// How often SCRAM may hash the password: less is no protection (RFC 7677 §4), more than a
// million would let an upstream keep the relay busy.
const (
	minIterations = 4096
	maxIterations = 1_000_000
)

// scramLogin is SCRAM-SHA-256 (RFC 5802, RFC 7677). The password does not travel, and the
// upstream has to prove that it knows it.
type scramLogin struct {
	conversation *scram.ClientConversation
	// turn counts the challenges.
	turn int
}

// newSCRAM fails when user name or password have no form that SCRAM could hash.
func newSCRAM(user, password string) (*scramLogin, error) {
	client, err := scram.SHA256.NewClient(user, password, "")
	if err != nil {
		// What the package says holds the user name.
		return nil, errors.New("the user name or the password has characters that SASLprep (RFC 4013) forbids: use another mechanism than SCRAM-SHA-256")
	}
	return &scramLogin{conversation: client.NewConversation()}, nil
}

func (s *scramLogin) start() (name, response string, ok bool) {
	response, err := s.conversation.Step("")
	return "SCRAM-SHA-256", response, err == nil
}

func (s *scramLogin) next(challenge string) (string, *Error) {
	decoded, err := base64.StdEncoding.DecodeString(challenge)
	if err != nil {
		return "", nonsense("the upstream's challenge is not base64")
	}
	s.turn++
	switch s.turn {
	case 1:
		return s.prove(string(decoded))
	case 2:
		return s.verify(string(decoded))
	}
	return "", nonsense("the upstream goes on after the end of SCRAM")
}

// prove answers the server-first-message.
func (s *scramLogin) prove(challenge string) (string, *Error) {
	if fields := strings.Split(challenge, ","); len(fields) > 2 {
		n, err := strconv.Atoi(strings.TrimPrefix(fields[2], "i="))
		if err == nil && (n < minIterations || n > maxIterations) {
			return "", notAuthenticated(fmt.Errorf("the upstream asks for %d iterations of SCRAM, the relay does from %d to %d: use another mechanism", n, minIterations, maxIterations))
		}
	}
	response, err := s.conversation.Step(challenge)
	if err != nil {
		return "", nonsense("the upstream's first message of SCRAM makes no sense")
	}
	return response, nil
}

// verify checks the server-final-message, which is taken with an empty response (RFC 4954 §4).
func (s *scramLogin) verify(challenge string) (string, *Error) {
	if reason, refused := strings.CutPrefix(challenge, "e="); refused {
		return "", notAuthenticated(fmt.Errorf("the upstream refuses the login: %s", reason))
	}
	if _, err := s.conversation.Step(challenge); err != nil {
		return "", impostor()
	}
	return "", nil
}

func (s *scramLogin) end() *Error {
	if !s.conversation.Valid() {
		return impostor()
	}
	return nil
}

// impostor is an upstream that does not prove to know the password. The credentials may well be
// right: who answers cannot be verified, as with a certificate that is wrong.
func impostor() *Error {
	return noTLS(StepAUTH, errors.New("the upstream does not prove that it knows the password (RFC 5802 §5): it may be another server than the one that the credentials are for"))
}
