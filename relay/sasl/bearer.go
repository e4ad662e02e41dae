package sasl

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// TokenValidator tells whose bearer token it is. It may be used by many at once.
type TokenValidator interface {
	// HaveTokens reports whether any token can be valid at the moment: the mechanisms for
	// tokens are offered only then.
	HaveTokens() bool
	// ValidateToken returns whose token it is. Of several users who may use it, the client
	// names one; its claim is empty where it named none. ErrCredentials means that the token is
	// nobody's or no longer valid; any other error that this cannot be known now. No error may
	// hold the token. It must answer within seconds.
	ValidateToken(token, claimed string) (Owner, error)
}

// Owner is whose a valid token is.
type Owner struct {
	// User is the user's name.
	User string
	// Still reports whether the token still lets in this user, as the user, the time and what
	// tokens are taken now are.
	Still func(*config.User) bool
}

// AnyTokens takes a token that any of the validators takes. When none does, one that could
// not tell has the last word.
type AnyTokens []TokenValidator

// HaveTokens implements TokenValidator.
func (a AnyTokens) HaveTokens() bool {
	return slices.ContainsFunc(a, TokenValidator.HaveTokens)
}

// ValidateToken implements TokenValidator.
func (a AnyTokens) ValidateToken(token, claimed string) (Owner, error) {
	verdict := fmt.Errorf("%w: no token is valid", ErrCredentials)
	for _, v := range a {
		if !v.HaveTokens() {
			continue
		}
		owner, err := v.ValidateToken(token, claimed)
		if err == nil || !errors.Is(err, ErrCredentials) {
			return owner, err
		}
		verdict = err
	}
	return Owner{}, verdict
}

// TokenDirectory finds users by the hash of a token.
type TokenDirectory interface {
	HaveTokens() bool
	// ByToken returns the user with that entry in config.User.Tokens.
	ByToken(hash string) (*config.User, bool)
}

// HashedTokens validates the tokens in config.User.Tokens.
type HashedTokens struct{ TokenDirectory }

// ValidateToken implements TokenValidator.
func (h HashedTokens) ValidateToken(token, _ string) (Owner, error) {
	sum := sha256.Sum256([]byte(token))
	hash := hex.EncodeToString(sum[:])
	user, ok := h.ByToken(hash)
	if !ok {
		return Owner{}, fmt.Errorf("%w: the token is nobody's", ErrCredentials)
	}
	return Owner{User: user.Name, Still: func(user *config.User) bool { return slices.Contains(user.Tokens, hash) }}, nil
}

// bearer is OAUTHBEARER (RFC 7628) and XOAUTH2, which differ in how they are written.
type bearer struct {
	attempt
	// parse returns the identity that the client claims, which may be empty, and its fields.
	parse func(response string) (identity string, fields map[string]string, err error)
	// refusal is what the client is told of a token that is not accepted, as JSON.
	refusal string
	over    bool
}

func newOAuthBearer(a attempt) Exchange {
	// RFC 7628 §3.2.2.
	return &bearer{attempt: a, parse: parseOAuthBearer, refusal: `{"status":"invalid_token"}`}
}

func newXOAuth2(a attempt) Exchange {
	return &bearer{attempt: a, parse: parseXOAuth2, refusal: `{"status":"401","schemes":"bearer"}`}
}

// Next implements Exchange.
func (b *bearer) Next(response []byte) ([]byte, bool, error) {
	if b.over {
		return nil, false, ErrMalformed
	}
	if response == nil {
		return []byte{}, false, nil
	}
	b.over = true
	identity, fields, err := b.parse(string(response))
	if err != nil {
		return nil, false, err
	}
	token, err := parseToken(fields["auth"])
	if err != nil {
		return nil, false, err
	}
	b.user = identity
	if err := b.validate(token); err != nil {
		// Trouble has no challenge: RFC 7628 §3.2.2 has no word for it.
		if errors.Is(err, ErrCredentials) {
			return []byte(b.refusal), false, err
		}
		return nil, false, err
	}
	return nil, true, nil
}

// validate makes the owner of the token the user of this attempt.
func (b *bearer) validate(token string) error {
	owner, err := b.tokens.ValidateToken(token, b.user)
	if err != nil {
		return err
	}
	if _, err := b.find(owner.User); err != nil {
		return err
	}
	if b.user != "" && b.user != owner.User {
		return fmt.Errorf("%w: the token is another user's", ErrCredentials)
	}
	b.user, b.proof = owner.User, owner.Still
	return nil
}

// parseOAuthBearer reads "n,a=user,^Ahost=…^Aauth=Bearer …^A^A" (RFC 7628 §3.1).
func parseOAuthBearer(response string) (string, map[string]string, error) {
	parts := strings.SplitN(response, ",", 3)
	if len(parts) < 3 || parts[0] != "n" && parts[0] != "y" {
		return "", nil, fmt.Errorf("%w: OAUTHBEARER begins with a header such as \"n,,\"", ErrMalformed)
	}
	identity, named := strings.CutPrefix(parts[1], "a=")
	if !named && identity != "" {
		return "", nil, fmt.Errorf("%w: the header of OAUTHBEARER has no authorization identity", ErrMalformed)
	}
	identity = unescapeName.Replace(identity)
	rest, ok := strings.CutPrefix(parts[2], "\x01")
	if !ok || len(identity) > maxField {
		return "", nil, fmt.Errorf("%w: OAUTHBEARER has fields behind its header", ErrMalformed)
	}
	fields, err := parseFields(rest)
	return identity, fields, err
}

// unescapeName undoes the escapes of a saslname (RFC 5801 §4).
var unescapeName = strings.NewReplacer("=2C", ",", "=3D", "=")

// parseXOAuth2 reads "user=…^Aauth=Bearer …^A^A", which Google and Microsoft document.
func parseXOAuth2(response string) (string, map[string]string, error) {
	fields, err := parseFields(response)
	if err == nil && (fields["user"] == "" || len(fields["user"]) > maxField) {
		err = fmt.Errorf("%w: XOAUTH2 has a user", ErrMalformed)
	}
	return fields["user"], fields, err
}

// parseFields reads fields of which each, and then all of them, end with 0x01.
func parseFields(text string) (map[string]string, error) {
	text, ok := strings.CutSuffix(text, "\x01\x01")
	if !ok {
		return nil, fmt.Errorf("%w: fields end with two octets 0x01", ErrMalformed)
	}
	fields := map[string]string{}
	for field := range strings.SplitSeq(text, "\x01") {
		key, value, ok := strings.Cut(field, "=")
		if _, twice := fields[key]; !ok || twice {
			return nil, fmt.Errorf("%w: a field is no key and value, or is there twice", ErrMalformed)
		}
		fields[key] = value
	}
	return fields, nil
}

// parseToken reads "Bearer …" (RFC 6750 §2.1).
func parseToken(auth string) (string, error) {
	scheme, token, _ := strings.Cut(auth, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsFunc(token, notInToken) {
		return "", fmt.Errorf("%w: there is no field auth with a bearer token", ErrMalformed)
	}
	return token, nil
}

func notInToken(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~+/=", r)
}
