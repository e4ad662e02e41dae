package sasl

import (
	"errors"
	"strings"
	"testing"
)

func TestPlainAndLogin(t *testing.T) {
	t.Parallel()
	m := newMechanisms(t, Options{})
	long := strings.Repeat("x", maxField+1)
	type step struct {
		response  []byte
		challenge string
	}
	for _, tc := range []struct {
		name, mechanism string
		steps           []step // all but the last
		last            string
		want            error
		user            string
	}{
		{name: "PLAIN", mechanism: "PLAIN", last: "\x00u\x00" + password, user: "u"},
		{name: "PLAIN without initial response", mechanism: "PLAIN", steps: []step{{nil, ""}}, last: "\x00u\x00" + password, user: "u"},
		{name: "PLAIN with own identity", mechanism: "PLAIN", last: "u\x00u\x00" + password, user: "u"},
		{name: "PLAIN with another's identity", mechanism: "PLAIN", last: "root\x00u\x00" + password, want: ErrCredentials, user: "u"},
		{name: "PLAIN, wrong password", mechanism: "PLAIN", last: "\x00u\x00x", want: ErrCredentials, user: "u"},
		{name: "PLAIN, unknown user", mechanism: "PLAIN", last: "\x00x\x00" + password, want: ErrCredentials, user: "x"},
		{name: "PLAIN, nothing", mechanism: "PLAIN", last: "", want: ErrMalformed},
		{name: "PLAIN, one part", mechanism: "PLAIN", last: "u", want: ErrMalformed},
		{name: "PLAIN, two parts", mechanism: "PLAIN", last: "u\x00p", want: ErrMalformed},
		{name: "PLAIN, four parts", mechanism: "PLAIN", last: "\x00u\x00p\x00", want: ErrMalformed},
		{name: "PLAIN, long password", mechanism: "PLAIN", last: "\x00u\x00" + long, want: ErrMalformed},
		{name: "PLAIN, trouble", mechanism: "PLAIN", last: "\x00broken\x00p", want: errTrouble, user: "broken"},

		{name: "LOGIN", mechanism: "LOGIN", steps: []step{{nil, "Username:"}, {[]byte("u"), "Password:"}}, last: password, user: "u"},
		{name: "LOGIN with initial response", mechanism: "LOGIN", steps: []step{{[]byte("u"), "Password:"}}, last: password, user: "u"},
		{name: "LOGIN, wrong password", mechanism: "LOGIN", steps: []step{{[]byte("u"), "Password:"}}, last: "x", want: ErrCredentials, user: "u"},
		{name: "LOGIN, no password", mechanism: "LOGIN", steps: []step{{[]byte("u"), "Password:"}}, last: "", want: ErrCredentials, user: "u"},
		{name: "LOGIN, long user", mechanism: "LOGIN", steps: []step{{nil, "Username:"}}, last: long, want: ErrMalformed},
		{name: "LOGIN, trouble", mechanism: "LOGIN", steps: []step{{[]byte("broken"), "Password:"}}, last: "p", want: errTrouble, user: "broken"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			x := begin(t, m, tc.mechanism, Client{})
			for _, s := range tc.steps {
				challenge, done, err := x.Next(s.response)
				if err != nil || done || string(challenge) != s.challenge {
					t.Fatalf("Next(%q) = %q, %v, %v; want %q", s.response, challenge, done, err, s.challenge)
				}
			}
			_, done, err := x.Next([]byte(tc.last))
			checkEnd(t, x, done, err, tc.want, tc.user)
		})
	}
}

func TestMechanismsOffered(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		options Options
		client  Client
		want    string
	}{
		{"what needs nothing", Options{}, Client{}, "PLAIN LOGIN SCRAM-SHA-256"},
		{"with a channel to bind to", Options{}, Client{Binding: []byte("b")}, "PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS"},
		{"with tokens", Options{Tokens: HashedTokens{testUsers()}}, Client{}, "PLAIN LOGIN SCRAM-SHA-256 OAUTHBEARER XOAUTH2"},
		{"with a validator that has none", Options{Tokens: HashedTokens{directory{}}}, Client{}, "PLAIN LOGIN SCRAM-SHA-256"},
		{"with a certificate", Options{}, Client{Certificate: []string{"CN:nobody"}}, "PLAIN LOGIN SCRAM-SHA-256 EXTERNAL"},
	} {
		m := newMechanisms(t, tc.options)
		if got := strings.Join(m.Names(tc.client), " "); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
		for _, row := range table {
			_, err := m.Start(row.name, tc.client)
			if offered := strings.Contains(" "+tc.want+" ", " "+row.name+" "); offered != (err == nil) {
				t.Errorf("%s: Start(%s): %v", tc.name, row.name, err)
			}
		}
		for _, name := range []string{"CRAM-MD5", "DIGEST-MD5", "ANONYMOUS", "plain", ""} {
			if _, err := m.Start(name, tc.client); !errors.Is(err, ErrUnknownMechanism) {
				t.Errorf("%s: Start(%q): %v", tc.name, name, err)
			}
		}
	}
}
