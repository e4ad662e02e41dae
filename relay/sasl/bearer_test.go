package sasl

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestBearer(t *testing.T) {
	t.Parallel()
	m := newMechanisms(t, Options{Tokens: HashedTokens{testUsers()}})
	auth := "\x01auth=Bearer " + token + "\x01\x01"
	for _, tc := range []struct {
		name, mechanism, response string
		want                      error
		user                      string
	}{
		{"OAUTHBEARER", "OAUTHBEARER", "n,," + auth, nil, "t"},
		{"OAUTHBEARER with own identity", "OAUTHBEARER", "n,a=t," + auth, nil, "t"},
		{"OAUTHBEARER with host and port", "OAUTHBEARER", "n,a=t,\x01host=relay.test\x01port=587" + auth, nil, "t"},
		{"OAUTHBEARER of a client that could bind", "OAUTHBEARER", "y,," + auth, nil, "t"},
		{"OAUTHBEARER in lower case", "OAUTHBEARER", "n,,\x01auth=bearer " + token + "\x01\x01", nil, "t"},
		{"OAUTHBEARER with a name that needs escapes", "OAUTHBEARER", "n,a=t=2C=3D,\x01auth=Bearer " + token + "2\x01\x01", nil, "t,="},
		{"OAUTHBEARER with another's identity", "OAUTHBEARER", "n,a=u," + auth, ErrCredentials, "u"},
		{"OAUTHBEARER with an unknown token", "OAUTHBEARER", "n,a=t,\x01auth=Bearer x\x01\x01", ErrCredentials, "t"},
		{"OAUTHBEARER, nothing", "OAUTHBEARER", "", ErrMalformed, ""},
		{"OAUTHBEARER, dummy first", "OAUTHBEARER", "\x01", ErrMalformed, ""},
		{"OAUTHBEARER with a channel binding", "OAUTHBEARER", "p=tls-exporter,," + auth, ErrMalformed, ""},
		{"OAUTHBEARER without header", "OAUTHBEARER", auth, ErrMalformed, ""},
		{"OAUTHBEARER with an odd identity", "OAUTHBEARER", "n,t," + auth, ErrMalformed, ""},
		{"OAUTHBEARER with a long identity", "OAUTHBEARER", "n,a=" + strings.Repeat("x", maxField+1) + "," + auth, ErrMalformed, ""},
		{"OAUTHBEARER without fields", "OAUTHBEARER", "n,,", ErrMalformed, ""},
		{"OAUTHBEARER without token", "OAUTHBEARER", "n,,\x01host=h\x01\x01", ErrMalformed, ""},
		{"OAUTHBEARER with an empty token", "OAUTHBEARER", "n,,\x01auth=\x01\x01", ErrMalformed, ""},
		{"OAUTHBEARER with two tokens", "OAUTHBEARER", "n,,\x01auth=Bearer x" + auth, ErrMalformed, ""},
		{"OAUTHBEARER that is not Bearer", "OAUTHBEARER", "n,,\x01auth=Basic " + token + "\x01\x01", ErrMalformed, ""},
		{"OAUTHBEARER with a line end in its token", "OAUTHBEARER", "n,,\x01auth=Bearer x\r\n\x01\x01", ErrMalformed, ""},
		{"OAUTHBEARER cut short", "OAUTHBEARER", "n,,\x01auth=Bearer " + token + "\x01", ErrMalformed, ""},

		{"XOAUTH2", "XOAUTH2", "user=t" + auth, nil, "t"},
		{"XOAUTH2 with another user", "XOAUTH2", "user=u" + auth, ErrCredentials, "u"},
		{"XOAUTH2 with an unknown token", "XOAUTH2", "user=t\x01auth=Bearer x\x01\x01", ErrCredentials, "t"},
		{"XOAUTH2 without user", "XOAUTH2", "auth=Bearer " + token + "\x01\x01", ErrMalformed, ""},
		{"XOAUTH2 without token", "XOAUTH2", "user=t\x01\x01", ErrMalformed, ""},
		{"XOAUTH2, nothing", "XOAUTH2", "", ErrMalformed, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			x := begin(t, m, tc.mechanism, Client{})
			if challenge, done, err := x.Next(nil); len(challenge) > 0 || done || err != nil {
				t.Fatalf("without initial response: %q, %v, %v", challenge, done, err)
			}
			challenge, done, err := x.Next([]byte(tc.response))
			if refused := errors.Is(err, ErrCredentials); refused != json.Valid(challenge) {
				t.Errorf("error %v with challenge %q", err, challenge)
			}
			if err != nil && strings.Contains(err.Error(), token) {
				t.Errorf("the error holds the token: %v", err)
			}
			checkEnd(t, x, done, err, tc.want, tc.user)
		})
	}
}

// noValidator cannot tell at the moment.
type noValidator struct{}

func (noValidator) HaveTokens() bool                            { return true }
func (noValidator) ValidateToken(string, string) (Owner, error) { return Owner{}, errTrouble }

// anyValidator takes every token for that of a user.
type anyValidator string

func (anyValidator) HaveTokens() bool { return true }
func (v anyValidator) ValidateToken(string, string) (Owner, error) {
	return Owner{User: string(v)}, nil
}

func TestBearerWithTroubleBehindIsNoVerdict(t *testing.T) {
	t.Parallel()
	x := begin(t, newMechanisms(t, Options{Tokens: noValidator{}}), "XOAUTH2", Client{})
	challenge, done, err := x.Next([]byte("user=t\x01auth=Bearer x\x01\x01"))
	if challenge != nil {
		t.Errorf("challenge %q", challenge)
	}
	checkEnd(t, x, done, err, errTrouble, "t")
}

func TestBearerTokenOfAUserWhoIsGone(t *testing.T) {
	t.Parallel()
	x := begin(t, newMechanisms(t, Options{Tokens: anyValidator("gone")}), "OAUTHBEARER", Client{})
	_, done, err := x.Next([]byte("n,,\x01auth=Bearer x\x01\x01"))
	checkEnd(t, x, done, err, ErrCredentials, "")
}
