package sasl

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

const (
	testIssuer   = "https://kubernetes.default.svc"
	testAudience = "mailrelay.dev/mail/mail"
	testSubject  = "system:serviceaccount:shop:checkout"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func (d directory) BySubject(subject string) (found []*config.User) {
	for _, u := range d {
		if slices.Contains(u.Subjects, subject) {
			found = append(found, u)
		}
	}
	return found
}

func (d directory) HaveSubjects() bool {
	_, ok := d.first(func(u *config.User) bool { return len(u.Subjects) > 0 })
	return ok
}

// signer is a key of the issuer.
type signer struct {
	id        string
	algorithm jose.SignatureAlgorithm
	private   crypto.Signer
}

func (s signer) public() jose.JSONWebKey {
	return jose.JSONWebKey{KeyID: s.id, Key: s.private.Public(), Algorithm: string(s.algorithm), Use: "sig"}
}

// sign makes a token.
func (s signer) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	return sign(t, s.id, s.algorithm, s.private, claims)
}

func sign(t testing.TB, id string, algorithm jose.SignatureAlgorithm, key any, claims map[string]any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT")
	if id != "" {
		options = options.WithHeader("kid", id)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func newECSigner(t testing.TB, id string) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{id, jose.ES256, key}
}

// podClaims are those of a token in a pod, changed; a nil value takes one away.
func podClaims(change map[string]any) map[string]any {
	claims := map[string]any{
		"iss": testIssuer, "aud": []string{testAudience}, "sub": testSubject,
		"iat": noon.Add(-time.Minute).Unix(), "nbf": noon.Add(-time.Minute).Unix(), "exp": noon.Add(time.Hour).Unix(),
		"kubernetes.io": map[string]any{
			"namespace": "shop", "serviceaccount": map[string]any{"name": "checkout", "uid": "1"}, "pod": map[string]any{"name": "p", "uid": "2"},
		},
	}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}

// trusting validates the tokens of these keys, for users with service accounts.
func trusting(keys ...signer) (*SignedTokens, directory) {
	known := &config.TokenKeys{Issuer: testIssuer}
	for _, k := range keys {
		known.Keys = append(known.Keys, k.public())
	}
	users := directory{
		"checkout.shop": {Name: "checkout.shop", Subjects: []string{testSubject}},
		"news.shop":     {Name: "news.shop", Subjects: []string{"system:serviceaccount:shop:news"}},
		"alerts.shop":   {Name: "alerts.shop", Subjects: []string{"system:serviceaccount:shop:news"}},
	}
	return &SignedTokens{
		Users: users, Now: func() time.Time { return noon },
		Trust: func() Trust { return Trust{Audience: testAudience, Keys: known} },
	}, users
}

func TestTokenOfAServiceAccountLogsIn(t *testing.T) {
	t.Parallel()
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := []signer{{"rsa", jose.RS256, big}, newECSigner(t, "ec"), {"ed", jose.EdDSA, ed}}
	tokens, users := trusting(keys...)
	m := newMechanisms(t, Options{Users: users, Tokens: AnyTokens{HashedTokens{users}, tokens}})
	for _, key := range keys {
		auth := "\x01auth=Bearer " + key.sign(t, podClaims(nil)) + "\x01\x01"
		for mechanism, response := range map[string]string{"OAUTHBEARER": "n,," + auth, "XOAUTH2": "user=checkout.shop" + auth} {
			x := begin(t, m, mechanism, Client{})
			_, done, err := x.Next([]byte(response))
			if !done || !x.Holds() {
				t.Errorf("%s with %s: done %v, %v", mechanism, key.id, done, err)
			}
			checkEnd(t, x, done, err, nil, "checkout.shop")
		}
	}
	if !tokens.KeyMissed().IsZero() {
		t.Error("a key was missed")
	}
}

func TestTokenThatIsNotValid(t *testing.T) {
	t.Parallel()
	key, stranger := newECSigner(t, "ec"), newECSigner(t, "ec")
	unknown := signer{"unknown", key.algorithm, stranger.private}
	tokens, _ := trusting(key)
	secret := []byte(rand.Text() + rand.Text())
	good := key.sign(t, podClaims(nil))
	header, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	encode := base64.RawURLEncoding.EncodeToString
	news := map[string]any{
		"sub":           "system:serviceaccount:shop:news",
		"kubernetes.io": map[string]any{"namespace": "shop", "serviceaccount": map[string]any{"name": "news"}},
	}
	for name, tc := range map[string]struct {
		token, claimed string
		want           error
		says           string
	}{
		"no token":                   {"x", "", ErrCredentials, "no signed token"},
		"without signature":          {header + "." + payload + ".", "", ErrCredentials, "signature"},
		"algorithm none":             {encode([]byte(`{"alg":"none","kid":"ec"}`)) + "." + payload + ".", "", ErrCredentials, "algorithm"},
		"algorithm with a secret":    {sign(t, "ec", jose.HS256, secret, podClaims(nil)), "", ErrCredentials, "algorithm"},
		"another algorithm":          {encode([]byte(`{"alg":"RS256","kid":"ec"}`)) + "." + payload + "." + signature, "", ErrCredentials, "another algorithm"},
		"claims that are none":       {header + "." + encode([]byte("[]")) + "." + signature, "", ErrCredentials, "claims"},
		"a changed claim":            {header + "." + encode([]byte(strings.Replace(string(must(base64.RawURLEncoding.DecodeString(payload))), `"2"`, `"3"`, 1))) + "." + signature, "", ErrCredentials, "signature"},
		"another's key of the ID":    {stranger.sign(t, podClaims(nil)), "", ErrCredentials, "signature"},
		"a key that is not known":    {unknown.sign(t, podClaims(nil)), "", ErrUnknownKey, "unknown"},
		"no key named":               {sign(t, "", jose.ES256, key.private, podClaims(nil)), "", ErrCredentials, "kid"},
		"another issuer":             {key.sign(t, podClaims(map[string]any{"iss": "https://other.test"})), "", ErrCredentials, "issuer"},
		"another audience":           {key.sign(t, podClaims(map[string]any{"aud": "mailrelay.dev/mail/other"})), "", ErrCredentials, "not for this relay"},
		"no audience":                {key.sign(t, podClaims(map[string]any{"aud": nil})), "", ErrCredentials, "not for this relay"},
		"expired":                    {key.sign(t, podClaims(map[string]any{"exp": noon.Add(-2 * time.Minute).Unix()})), "", ErrCredentials, "expired at 2026-03-01T11:58:00Z"},
		"for ever":                   {key.sign(t, podClaims(map[string]any{"exp": nil})), "", ErrCredentials, "never expires"},
		"later":                      {key.sign(t, podClaims(map[string]any{"nbf": noon.Add(2 * time.Minute).Unix()})), "", ErrCredentials, "not valid yet"},
		"made later":                 {key.sign(t, podClaims(map[string]any{"iat": noon.Add(2 * time.Minute).Unix()})), "", ErrCredentials, "not valid yet"},
		"claims that differ":         {key.sign(t, podClaims(map[string]any{"sub": "system:serviceaccount:shop:news"})), "", ErrCredentials, "differ"},
		"no claims of Kubernetes":    {key.sign(t, podClaims(map[string]any{"kubernetes.io": nil})), "", ErrCredentials, "differ"},
		"another's subject":          {key.sign(t, podClaims(map[string]any{"sub": "somebody"})), "", ErrCredentials, "no user's"},
		"another user named":         {good, "news.shop", ErrCredentials, "not this user's"},
		"nobody named":               {good, "nobody", ErrCredentials, "not this user's"},
		"two users, none named":      {key.sign(t, podClaims(news)), "", ErrCredentials, "2 users"},
		"a bad one of an unknown ID": {unknown.sign(t, podClaims(map[string]any{"aud": "other"})), "", ErrCredentials, "not for this relay"},
		"nobody's of an unknown ID":  {unknown.sign(t, podClaims(map[string]any{"sub": "somebody"})), "", ErrUnknownKey, "unknown"},
	} {
		_, err := tokens.ValidateToken(tc.token, tc.claimed)
		if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %v and %q", name, err, tc.want, tc.says)
		}
		if err != nil && len(tc.token) > 1 && strings.Contains(err.Error(), tc.token[:20]) {
			t.Errorf("%s: the error shows the token: %v", name, err)
		}
	}
	for _, claimed := range []string{"news.shop", "alerts.shop"} {
		if owner, err := tokens.ValidateToken(key.sign(t, podClaims(news)), claimed); owner.User != claimed || err != nil {
			t.Errorf("%s named: %q, %v", claimed, owner.User, err)
		}
	}
	if got := tokens.KeyMissed(); !got.Equal(noon) {
		t.Errorf("a key was missed at %v", got)
	}
}

// TestKeysOfOneIDAreAllTried: an issuer may give several the same.
func TestKeysOfOneIDAreAllTried(t *testing.T) {
	t.Parallel()
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	first, second, other := newECSigner(t, "k"), newECSigner(t, "k"), signer{"k", jose.RS256, big}
	tokens, _ := trusting(other, first, second)
	for name, key := range map[string]signer{"first": first, "second": second, "of another algorithm": other} {
		if _, err := tokens.ValidateToken(key.sign(t, podClaims(nil)), ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	stranger := newECSigner(t, "k")
	if _, err := tokens.ValidateToken(stranger.sign(t, podClaims(nil)), ""); !errors.Is(err, ErrCredentials) {
		t.Errorf("a key of the ID that is not known: %v", err)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func TestTokenWithinTheLeewayIsValid(t *testing.T) {
	t.Parallel()
	key := newECSigner(t, "ec")
	tokens, _ := trusting(key)
	for claim, at := range map[string]time.Duration{"exp": -30 * time.Second, "nbf": 30 * time.Second, "iat": 30 * time.Second} {
		if _, err := tokens.ValidateToken(key.sign(t, podClaims(map[string]any{claim: noon.Add(at).Unix()})), ""); err != nil {
			t.Errorf("%s %s off: %v", claim, at, err)
		}
	}
}

// TestWithoutKeysThereIsNoVerdict, but for what needs none.
func TestWithoutKeysThereIsNoVerdict(t *testing.T) {
	t.Parallel()
	key := newECSigner(t, "ec")
	tokens, _ := trusting()
	tokens.Trust = func() Trust { return Trust{Audience: testAudience} }
	if !tokens.HaveTokens() {
		t.Error("tokens are not offered while the keys are on their way")
	}
	_, err := tokens.ValidateToken(key.sign(t, podClaims(nil)), "")
	if !errors.Is(err, ErrUnknownKey) || errors.Is(err, ErrCredentials) {
		t.Errorf("a good token, which anyone could have made: %v", err)
	}
	_, err = tokens.ValidateToken(key.sign(t, podClaims(map[string]any{"aud": "other"})), "")
	if !errors.Is(err, ErrCredentials) {
		t.Errorf("one for another service: %v", err)
	}
	if tokens.KeyMissed().IsZero() {
		t.Error("no key was missed")
	}
}

func TestTokensAreOfferedToUsersWithSubjectsOnly(t *testing.T) {
	t.Parallel()
	tokens, users := trusting()
	if clear(users); tokens.HaveTokens() {
		t.Error("tokens are offered although nobody has any")
	}
	tokens, _ = trusting()
	if tokens.Trust = func() Trust { return Trust{} }; tokens.HaveTokens() {
		t.Error("tokens are offered although none are taken")
	}
}

// TestLoginWithATokenHolds until the token expires, tokens like it are not taken any more, or the
// user loses the service account or goes. A key that the issuer withdraws ends no session.
func TestLoginWithATokenHolds(t *testing.T) {
	t.Parallel()
	key := newECSigner(t, "ec")
	trust := func(changed Trust) func(*SignedTokens, directory) {
		return func(s *SignedTokens, _ directory) { s.Trust = func() Trust { return changed } }
	}
	for name, tc := range map[string]struct {
		change func(*SignedTokens, directory)
		want   bool
	}{
		"nothing":             {func(*SignedTokens, directory) {}, true},
		"the keys":            {trust(Trust{Audience: testAudience, Keys: &config.TokenKeys{Issuer: testIssuer}}), true},
		"keys that are known": {trust(Trust{Audience: testAudience}), true},
		"another issuer":      {trust(Trust{Audience: testAudience, Keys: &config.TokenKeys{Issuer: "https://other.test"}}), false},
		"another audience":    {trust(Trust{Audience: "other", Keys: &config.TokenKeys{Issuer: testIssuer}}), false},
		"no more tokens":      {trust(Trust{}), false},
		"the policy":          {func(_ *SignedTokens, d directory) { replace(d, func(u *config.User) { u.Senders = []string{"*"} }) }, true},
		"the service account": {func(_ *SignedTokens, d directory) { replace(d, func(u *config.User) { u.Subjects = nil }) }, false},
		"two factors":         {func(_ *SignedTokens, d directory) { replace(d, func(u *config.User) { u.Require = config.RequireAll }) }, false},
		"the user":            {func(_ *SignedTokens, d directory) { delete(d, "checkout.shop") }, false},
		"an hour":             {func(s *SignedTokens, _ directory) { s.Now = func() time.Time { return noon.Add(time.Hour) } }, true},
		"an hour and more":    {func(s *SignedTokens, _ directory) { s.Now = func() time.Time { return noon.Add(62 * time.Minute) } }, false},
	} {
		tokens, users := trusting(key)
		x := begin(t, newMechanisms(t, Options{Users: users, Tokens: tokens}), "OAUTHBEARER", Client{})
		if _, done, err := x.Next([]byte("n,,\x01auth=Bearer " + key.sign(t, podClaims(nil)) + "\x01\x01")); !done {
			t.Fatalf("%s: %v", name, err)
		}
		if tc.change(tokens, users); x.Holds() != tc.want {
			t.Errorf("%s changed: holds %v", name, x.Holds())
		}
	}
}

func replace(users directory, change func(*config.User)) {
	changed := *users["checkout.shop"]
	change(&changed)
	users["checkout.shop"] = &changed
}

func TestTwoFactorsWithAServiceAccount(t *testing.T) {
	t.Parallel()
	key := newECSigner(t, "ec")
	tokens, users := trusting(key)
	replace(users, func(u *config.User) { u.Require, u.Certificates = config.RequireAll, []string{"CN:checkout"} })
	m := newMechanisms(t, Options{Users: users, Tokens: tokens})
	for certificate, want := range map[string]error{"CN:checkout": nil, "CN:other": ErrCredentials} {
		x := begin(t, m, "XOAUTH2", Client{Certificate: []string{certificate}})
		_, done, err := x.Next([]byte("user=checkout.shop\x01auth=Bearer " + key.sign(t, podClaims(nil)) + "\x01\x01"))
		checkEnd(t, x, done, err, want, "checkout.shop")
	}
}

// TestAnyTokens: trouble of one validator must not become a verdict by another.
func TestAnyTokens(t *testing.T) {
	t.Parallel()
	hashed := HashedTokens{testUsers()}
	for name, tc := range map[string]struct {
		any   AnyTokens
		token string
		want  error
	}{
		"the first has it":     {AnyTokens{hashed, noValidator{}}, token, nil},
		"the last has it":      {AnyTokens{HashedTokens{directory{}}, hashed}, token, nil},
		"nobody has it":        {AnyTokens{hashed, hashed}, "x", ErrCredentials},
		"one of them can tell": {AnyTokens{hashed, noValidator{}}, "x", errTrouble},
		"there is none":        {AnyTokens{}, token, ErrCredentials},
	} {
		if owner, err := tc.any.ValidateToken(tc.token, ""); !errors.Is(err, tc.want) || err == nil && owner.User != "t" {
			t.Errorf("%s: %q, %v", name, owner.User, err)
		}
	}
	if (AnyTokens{HashedTokens{directory{}}}).HaveTokens() || !(AnyTokens{HashedTokens{directory{}}, hashed}).HaveTokens() {
		t.Error("HaveTokens is not that of any")
	}
}

func BenchmarkTokenOfAServiceAccount(b *testing.B) {
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	for name, key := range map[string]signer{"RS256": {"k", jose.RS256, big}, "ES256": newECSigner(b, "k"), "unknown key": newECSigner(b, "x")} {
		tokens, _ := trusting(key)
		if key.id == "x" {
			tokens, _ = trusting()
		}
		token := key.sign(b, podClaims(nil))
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, _ = tokens.ValidateToken(token, "")
			}
		})
	}
}
