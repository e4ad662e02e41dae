package sasl

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// scramClient is a client of SCRAM with a user name and password.
func scramClient(t testing.TB, user, password, identity string) *scram.Client {
	t.Helper()
	c, err := scram.SHA256.NewClient(user, password, identity)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// converse runs a client against an exchange until one of them ends it. The client has
// checked the server's signature when there is no error.
func converse(x Exchange, talk *scram.ClientConversation) (done bool, err error) {
	message, err := talk.Step("")
	for err == nil && !done {
		var challenge []byte
		if challenge, done, err = x.Next([]byte(message)); err == nil && !done {
			message, err = talk.Step(string(challenge))
		}
	}
	if done && !talk.Valid() {
		return true, errors.New("the client does not know the server")
	}
	return done, err
}

func scramUsers(t testing.TB, older, newer string) directory {
	t.Helper()
	old := verifier(t, older)
	successor, err := old.Successor(newer)
	if err != nil {
		t.Fatal(err)
	}
	return directory{
		"one":      {Name: "one", Passwords: []config.Verifier{old}},
		"o=n,e":    {Name: "o=n,e", Passwords: []config.Verifier{old}},
		"rotating": {Name: "rotating", Passwords: []config.Verifier{successor, old}},
		"salted":   {Name: "salted", Passwords: []config.Verifier{verifier(t, newer), old}},
		"none":     {Name: "none"},
		"guarded":  {Name: "guarded", Passwords: []config.Verifier{old}, Certificates: []string{"CN:guarded"}, Require: config.RequireAll},
		"broken":   {Name: "broken", Passwords: []config.Verifier{{Iterations: 1}}},
		"mended":   {Name: "mended", Passwords: []config.Verifier{{Iterations: 1}, old}},
	}
}

func TestScram(t *testing.T) {
	t.Parallel()
	older, newer := rand.Text(), rand.Text()
	m := newMechanisms(t, Options{Users: scramUsers(t, older, newer)})
	for _, tc := range []struct {
		name, user, password, identity string
		want                           error
	}{
		{"right", "one", older, "", nil},
		{"own identity", "one", older, "one", nil},
		{"another's identity", "one", older, "root", ErrCredentials},
		{"name that needs an escape", "o=n,e", older, "o=n,e", nil},
		{"wrong password", "one", newer, "", ErrCredentials},
		{"old password in a rotation", "rotating", older, "", nil},
		{"new password in a rotation", "rotating", newer, "", nil},
		{"neither password in a rotation", "rotating", "x", "", ErrCredentials},
		{"first of two salts", "salted", newer, "", nil},
		{"second of two salts", "salted", older, "", ErrCredentials},
		{"user without password", "none", "x", "", ErrCredentials},
		{"unknown user", "nobody", older, "", ErrCredentials},
		{"verifier that cannot be used", "broken", older, "", errTrouble},
		{"one of two verifiers", "mended", older, "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			x := begin(t, m, "SCRAM-SHA-256", Client{})
			done, err := converse(x, scramClient(t, tc.user, tc.password, tc.identity).NewConversation())
			checkEnd(t, x, done, err, tc.want, tc.user)
		})
	}
}

func TestScramPlus(t *testing.T) {
	t.Parallel()
	m := newMechanisms(t, Options{})
	binding := func(data string) scram.ChannelBinding {
		return scram.ChannelBinding{Type: scram.ChannelBindingTLSExporter, Data: []byte(data)}
	}
	u := scramClient(t, "u", password, "")
	for _, tc := range []struct {
		name, mechanism string
		client          Client
		talk            *scram.ClientConversation
		want            error
		user            string
	}{
		{"bound", "SCRAM-SHA-256-PLUS", Client{Binding: []byte("here")}, u.NewConversationWithChannelBinding(binding("here")), nil, "u"},
		{"bound elsewhere", "SCRAM-SHA-256-PLUS", Client{Binding: []byte("here")}, u.NewConversationWithChannelBinding(binding("there")), ErrCredentials, "u"},
		{"not bound", "SCRAM-SHA-256-PLUS", Client{Binding: []byte("here")}, u.NewConversation(), ErrCredentials, ""},
		{"other type", "SCRAM-SHA-256-PLUS", Client{Binding: []byte("here")},
			u.NewConversationWithChannelBinding(scram.NewTLSUniqueBinding([]byte("here"))), ErrMalformed, ""},
		{"client that cannot bind", "SCRAM-SHA-256", Client{Binding: []byte("here")}, u.NewConversation(), nil, "u"},
		{"PLUS was hidden from the client", "SCRAM-SHA-256", Client{Binding: []byte("here")}, u.NewConversationAdvertisingChannelBinding(), ErrCredentials, ""},
		{"client that could bind", "SCRAM-SHA-256", Client{}, u.NewConversationAdvertisingChannelBinding(), nil, "u"},
		{"bound where it is not offered", "SCRAM-SHA-256", Client{}, u.NewConversationWithChannelBinding(binding("here")), ErrMalformed, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			x := begin(t, m, tc.mechanism, tc.client)
			done, err := converse(x, tc.talk)
			checkEnd(t, x, done, err, tc.want, tc.user)
		})
	}
}

func TestScramMalformed(t *testing.T) {
	t.Parallel()
	m := newMechanisms(t, Options{})
	const first = "n,,n=u,r=nonce"
	long := strings.Repeat("x", maxScramMessage)
	for _, tc := range []struct {
		messages []string
		user     string
	}{
		{[]string{""}, ""},
		{[]string{"\x00u\x00p"}, ""},
		{[]string{"n,,m=x,n=u,r=nonce"}, ""},
		{[]string{"p=tls-none,,n=u,r=nonce"}, ""},
		{[]string{"n,,n=u=,r=nonce"}, ""},
		{[]string{"n,,n=u,r=" + long}, ""},
		{[]string{first, ""}, "u"},
		{[]string{first, "c=biws,r=other,p=AAAA"}, "u"},
		{[]string{first, "c=????,r=nonce,p=AAAA"}, "u"},
		{[]string{first, long + "x"}, "u"},
		{[]string{"n,,n=nobody,r=nonce", "c=biws,r=other,p=AAAA"}, "nobody"},
	} {
		x := begin(t, m, "SCRAM-SHA-256", Client{})
		if challenge, done, err := x.Next(nil); len(challenge) > 0 || done || err != nil {
			t.Errorf("before the first message: %q, %v, %v", challenge, done, err)
		}
		var done bool
		var err error
		for _, message := range tc.messages {
			_, done, err = x.Next([]byte(message))
		}
		checkEnd(t, x, done, err, ErrMalformed, tc.user)
		if err != nil && strings.Contains(err.Error(), "nonce") {
			t.Errorf("the error repeats the client: %v", err)
		}
	}
}

func TestScramEndsWithAnEmptyResponse(t *testing.T) {
	t.Parallel()
	m := newMechanisms(t, Options{})
	talk := scramClient(t, "u", password, "").NewConversation()
	x := begin(t, m, "SCRAM-SHA-256", Client{})
	message, _ := talk.Step("")
	for range 2 {
		challenge, _, err := x.Next([]byte(message))
		if err != nil {
			t.Fatal(err)
		}
		message, _ = talk.Step(string(challenge))
	}
	_, done, err := x.Next([]byte("more"))
	checkEnd(t, x, done, err, ErrMalformed, "u")
}

// factors is what SCRAM tells a client who claims a name: salt and iterations.
func factors(t testing.TB, m *Mechanisms, name string) string {
	t.Helper()
	challenge, _, err := begin(t, m, "SCRAM-SHA-256", Client{}).Next([]byte("n,,n=" + name + ",r=nonce"))
	if err != nil {
		t.Fatal(err)
	}
	_, told, _ := strings.Cut(string(challenge), ",s=")
	return told
}

func TestScramShowsUnknownUsersLikeOthers(t *testing.T) {
	t.Parallel()
	key := rand.Text()
	withKey := func() *Mechanisms { return newMechanisms(t, Options{DecoyKey: func() string { return key }}) }
	m, twin, stranger := withKey(), withKey(), newMechanisms(t, Options{})
	known, unknown := factors(t, m, "u"), factors(t, m, "nobody")
	if len(known) != len(unknown) || !strings.HasSuffix(unknown, "==,i=4096") || !strings.HasSuffix(known, "==,i=4096") {
		t.Errorf("known %s, unknown %s", known, unknown)
	}
	if factors(t, m, "nobody") != unknown || factors(t, twin, "nobody") != unknown {
		t.Error("the salt of an unknown user changes from time to time or from relay to relay")
	}
	if factors(t, m, "no-one") == unknown {
		t.Error("two unknown users share a salt")
	}
	if first, again := factors(t, stranger, "nobody"), factors(t, stranger, "nobody"); first == unknown || first != again {
		t.Error("without a key the process has none of its own")
	}
	if factors(t, stranger, "u") != known {
		t.Error("the salt of a real user depends on the key")
	}
}
