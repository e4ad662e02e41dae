package sasl

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// SubjectDirectory finds users by the subject of a signed token.
type SubjectDirectory interface {
	// Lookup returns the user of that name.
	Lookup(name string) (*config.User, bool)
	// BySubject returns the users with that entry in config.User.Subjects.
	BySubject(subject string) []*config.User
	HaveSubjects() bool
}

// Trust is which signed tokens are taken.
type Trust struct {
	// Audience that they must be for; without one none are taken.
	Audience string
	// Keys of their issuer; nil while they are not known.
	Keys *config.TokenKeys
}

// SignedTokens validates the signed tokens of one issuer (RFC 7519), such as those that
// Kubernetes gives the pods of a service account. It asks nobody: what the issuer withdraws is
// valid until it expires. It must not be copied.
type SignedTokens struct {
	// Users may log in.
	Users SubjectDirectory
	// Trust is asked for each token.
	Trust func() Trust
	// Now is the clock.
	Now func() time.Time

	missed atomic.Int64
}

// signatures are by public keys only: a secret that verifies could sign as well.
var signatures = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// HaveTokens implements TokenValidator. They are offered while no key is known too: a client
// then hears that it may try again.
func (s *SignedTokens) HaveTokens() bool { return s.Trust().Audience != "" && s.Users.HaveSubjects() }

// ValidateToken implements TokenValidator. What can be refused without the key is refused first,
// so that little is left of which nothing can be said. Whose token it is comes last: what a
// client hears before its token is verified must not tell who exists.
func (s *SignedTokens) ValidateToken(token, claimed string) (Owner, error) {
	parsed, err := jwt.ParseSigned(token, signatures)
	if err != nil {
		return Owner{}, fmt.Errorf("%w: it is no signed token, or is signed by another algorithm than those with public keys", ErrCredentials)
	}
	trust := s.Trust()
	var said claims
	if err := parsed.UnsafeClaimsWithoutVerification(&said); err != nil {
		return Owner{}, fmt.Errorf("%w: the claims of the token cannot be read", ErrCredentials)
	}
	if err := said.check(trust, s.Now()); err != nil {
		return Owner{}, err
	}
	keys, err := s.keys(trust.Keys, &parsed.Headers[0])
	if err != nil {
		return Owner{}, err
	}
	for _, key := range keys {
		var verified claims
		if parsed.Claims(key, &verified) == nil {
			return s.owner(&verified, claimed)
		}
	}
	return Owner{}, fmt.Errorf("%w: the signature of the token is wrong", ErrCredentials)
}

// keys finds what may verify a token: several keys can have one ID (RFC 7517 §4.5).
func (s *SignedTokens) keys(known *config.TokenKeys, header *jose.Header) (keys []any, err error) {
	if header.KeyID == "" {
		return nil, fmt.Errorf("%w: the token does not name its key (kid)", ErrCredentials)
	}
	if known == nil {
		s.missed.Store(s.Now().UnixNano())
		return nil, fmt.Errorf("%w: those of its issuer are not known yet", ErrUnknownKey)
	}
	named := false
	for i := range known.Keys {
		key := &known.Keys[i]
		named = named || key.KeyID == header.KeyID
		if key.KeyID == header.KeyID && (key.Algorithm == "" || key.Algorithm == header.Algorithm) {
			keys = append(keys, key.Key)
		}
	}
	switch {
	case !named:
		s.missed.Store(s.Now().UnixNano())
		return nil, fmt.Errorf("%w: %q", ErrUnknownKey, config.Clip(header.KeyID))
	case len(keys) == 0:
		return nil, fmt.Errorf("%w: the key of the token is for another algorithm", ErrCredentials)
	}
	return keys, nil
}

// KeyMissed is when a token last came that fits but for its key, which is not known; zero when
// none did. Anyone can make such a token.
func (s *SignedTokens) KeyMissed() time.Time {
	if at := s.missed.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// owner is the user of a token that is verified: the one that the client claims to be, or else
// the only one.
func (s *SignedTokens) owner(token *claims, claimed string) (Owner, error) {
	subject := token.Subject
	has := func(user *config.User) bool { return slices.Contains(user.Subjects, subject) }
	// The keys are not asked again: one that leaves the file may be just an old one.
	owner := Owner{User: claimed, Still: func(user *config.User) bool { return has(user) && token.check(s.Trust(), s.Now()) == nil }}
	if claimed != "" {
		if user, ok := s.Users.Lookup(claimed); !ok || !has(user) {
			return Owner{}, fmt.Errorf("%w: the token is not this user's: its subject is %q", ErrCredentials, config.Clip(subject))
		}
		return owner, nil
	}
	switch users := s.Users.BySubject(subject); len(users) {
	case 0:
		return Owner{}, fmt.Errorf("%w: the token is no user's: its subject is %q", ErrCredentials, config.Clip(subject))
	case 1:
		owner.User = users[0].Name
		return owner, nil
	default:
		return Owner{}, fmt.Errorf("%w: %d users have the subject of the token, %q: ask for one of them as authorization identity",
			ErrCredentials, len(users), config.Clip(subject))
	}
}
