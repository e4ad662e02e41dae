package sasl

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// directory is a set of users by name.
type directory map[string]*config.User

func (d directory) Lookup(name string) (*config.User, bool) {
	u, ok := d[name]
	return u, ok
}

func (d directory) ByCertificate(name string) (*config.User, bool) {
	return d.first(func(u *config.User) bool { return slices.Contains(u.Certificates, name) })
}

func (d directory) ByToken(hash string) (*config.User, bool) {
	return d.first(func(u *config.User) bool { return slices.Contains(u.Tokens, hash) })
}

func (d directory) HaveTokens() bool {
	_, ok := d.first(func(u *config.User) bool { return len(u.Tokens) > 0 })
	return ok
}

func (d directory) first(is func(*config.User) bool) (*config.User, bool) {
	for _, u := range d {
		if is(u) {
			return u, true
		}
	}
	return nil, false
}

// password and token are those of users of testUsers. Verifiers are costly by design.
var password, token = rand.Text(), rand.Text()

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

var testUsers = sync.OnceValue(func() directory {
	v, err := config.NewVerifier(password)
	if err != nil {
		panic(err)
	}
	return directory{
		"u":      {Name: "u", Passwords: []config.Verifier{v}},
		"broken": {Name: "broken", Passwords: []config.Verifier{{Iterations: 1}}},
		"t":      {Name: "t", Tokens: []string{hashOf(token)}},
		"t,=":    {Name: "t,=", Tokens: []string{hashOf(token + "2")}},
		"c":      {Name: "c", Certificates: []string{"CN:c", "DNS:c.test"}},
		"d":      {Name: "d", Certificates: []string{"CN:d"}},
		"both":   {Name: "both", Passwords: []config.Verifier{v}, Certificates: []string{"CN:both"}, Require: config.RequireAll},
		"token2": {Name: "token2", Tokens: []string{hashOf(token + "3")}, Certificates: []string{"CN:token2"}, Require: config.RequireAll},
	}
})

func verifier(t testing.TB, password string) config.Verifier {
	t.Helper()
	v, err := config.NewVerifier(password)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func newMechanisms(t testing.TB, o Options) *Mechanisms {
	t.Helper()
	if o.Users == nil {
		o.Users = testUsers()
	}
	m, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func begin(t testing.TB, m *Mechanisms, name string, c Client) Exchange {
	t.Helper()
	x, err := m.Start(name, c)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// errTrouble in a test's expectation stands for any error that is no verdict.
var errTrouble = errors.New("trouble")

// checkEnd compares the end of an exchange, after which there can be no other.
func checkEnd(t testing.TB, x Exchange, done bool, err, want error, user string) {
	t.Helper()
	got := err
	if err != nil && !errors.Is(err, ErrCredentials) && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrNeedsSecret) {
		got = errTrouble
	}
	if !errors.Is(got, want) {
		t.Errorf("error %v, want %v", err, want)
	}
	if done != (want == nil) || x.User() != user {
		t.Errorf("done %v as %q, want user %q", done, x.User(), user)
	}
	if _, done, err := x.Next([]byte("\x00u\x00" + password)); done || err == nil {
		t.Errorf("Next after the end = %v, %v; want an error", done, err)
	}
}
