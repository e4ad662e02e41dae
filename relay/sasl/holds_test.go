package sasl

import (
	"crypto/rand"
	"slices"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// TestLoginHoldsForAsLongAsItsProof logs in by each mechanism and changes the user then.
func TestLoginHoldsForAsLongAsItsProof(t *testing.T) {
	t.Parallel()
	old, other := verifier(t, password), verifier(t, rand.Text())
	other.Salt = old.Salt // as SCRAM needs it to try both
	user := config.User{
		Name: "u", Passwords: []config.Verifier{other, old}, Tokens: []string{hashOf(token)}, Certificates: []string{"CN:c"},
	}
	changes := map[string]func(*config.User){
		"nothing":             func(*config.User) {},
		"a policy":            func(u *config.User) { u.Senders = []string{"*"} },
		"the other password":  func(u *config.User) { u.Passwords = u.Passwords[1:] },
		"the password":        func(u *config.User) { u.Passwords = u.Passwords[:1] },
		"the token":           func(u *config.User) { u.Tokens = []string{hashOf("another")} },
		"the certificate":     func(u *config.User) { u.Certificates = []string{"CN:d"} },
		"two factors":         func(u *config.User) { u.Require = config.RequireAll },
		"two factors of anew": func(u *config.User) { u.Require, u.Certificates = config.RequireAll, nil },
	}
	shows := Client{Certificate: []string{"CN:c"}}
	for _, tc := range []struct {
		name, mechanism, response string
		client                    Client
		ends                      []string
	}{
		{"PLAIN", "PLAIN", "\x00u\x00" + password, Client{}, []string{"the password", "two factors", "two factors of anew"}},
		{"SCRAM", "SCRAM-SHA-256", "", Client{}, []string{"the password", "two factors", "two factors of anew"}},
		{"a token", "XOAUTH2", "user=u\x01auth=Bearer " + token + "\x01\x01", Client{}, []string{"the token", "two factors", "two factors of anew"}},
		{"a certificate", "EXTERNAL", "u", shows, []string{"the certificate", "two factors", "two factors of anew"}},
		{"PLAIN and a certificate", "PLAIN", "\x00u\x00" + password, shows, []string{"the password", "two factors of anew"}},
	} {
		for name, change := range changes {
			users := directory{"u": &user}
			x := begin(t, newMechanisms(t, Options{Users: users, Tokens: HashedTokens{users}}), tc.mechanism, tc.client)
			if x.Holds() {
				t.Errorf("%s: a login holds that has not begun", tc.name)
			}
			var done bool
			var err error
			if tc.response == "" {
				done, err = converse(x, scramClient(t, "u", password, "").NewConversation())
			} else {
				_, done, err = x.Next([]byte(tc.response))
			}
			if !done || !x.Holds() {
				t.Fatalf("%s: done %v, holds %v, %v", tc.name, done, x.Holds(), err)
			}
			changed := user
			change(&changed)
			users["u"] = &changed
			if want := !slices.Contains(tc.ends, name); x.Holds() != want {
				t.Errorf("%s, %s changed: holds %v, want %v", tc.name, name, x.Holds(), want)
			}
			delete(users, "u")
			if x.Holds() {
				t.Errorf("%s: the login of a removed user holds", tc.name)
			}
		}
	}
}
