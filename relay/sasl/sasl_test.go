package sasl

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// oneUser knows one password and counts what it is asked.
type oneUser struct {
	user, password string
	asked          int
	err            error
}

func (o *oneUser) CheckPassword(user, password string) error {
	o.asked++
	switch {
	case o.err != nil:
		return o.err
	case user != o.user || password != o.password:
		return ErrCredentials
	}
	return nil
}

var errBehind = errors.New("trouble behind")

func TestExchanges(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxField+1)
	type step struct {
		response  []byte
		challenge string
	}
	for _, tc := range []struct {
		name, mechanism string
		steps           []step // all but the last
		last            string
		trouble, want   error
		user            string
	}{
		{name: "PLAIN", mechanism: "PLAIN", last: "\x00u\x00p", user: "u"},
		{name: "PLAIN without initial response", mechanism: "PLAIN", steps: []step{{nil, ""}}, last: "\x00u\x00p", user: "u"},
		{name: "PLAIN with own identity", mechanism: "PLAIN", last: "u\x00u\x00p", user: "u"},
		{name: "PLAIN with another's identity", mechanism: "PLAIN", last: "root\x00u\x00p", want: ErrCredentials, user: "u"},
		{name: "PLAIN, wrong password", mechanism: "PLAIN", last: "\x00u\x00x", want: ErrCredentials, user: "u"},
		{name: "PLAIN, unknown user", mechanism: "PLAIN", last: "\x00x\x00p", want: ErrCredentials, user: "x"},
		{name: "PLAIN, nothing", mechanism: "PLAIN", last: "", want: ErrMalformed},
		{name: "PLAIN, one part", mechanism: "PLAIN", last: "u", want: ErrMalformed},
		{name: "PLAIN, two parts", mechanism: "PLAIN", last: "u\x00p", want: ErrMalformed},
		{name: "PLAIN, four parts", mechanism: "PLAIN", last: "\x00u\x00p\x00", want: ErrMalformed},
		{name: "PLAIN, long password", mechanism: "PLAIN", last: "\x00u\x00" + long, want: ErrMalformed},
		{name: "PLAIN, trouble", mechanism: "PLAIN", last: "\x00u\x00p", trouble: errBehind, want: errBehind, user: "u"},

		{name: "LOGIN", mechanism: "LOGIN", steps: []step{{nil, "Username:"}, {[]byte("u"), "Password:"}}, last: "p", user: "u"},
		{name: "LOGIN with initial response", mechanism: "LOGIN", steps: []step{{[]byte("u"), "Password:"}}, last: "p", user: "u"},
		{name: "LOGIN, wrong password", mechanism: "LOGIN", steps: []step{{[]byte("u"), "Password:"}}, last: "x", want: ErrCredentials, user: "u"},
		{name: "LOGIN, no password", mechanism: "LOGIN", steps: []step{{[]byte("u"), "Password:"}}, last: "", want: ErrCredentials, user: "u"},
		{name: "LOGIN, long user", mechanism: "LOGIN", steps: []step{{nil, "Username:"}}, last: long, want: ErrMalformed},
		{name: "LOGIN, trouble", mechanism: "LOGIN", steps: []step{{[]byte("u"), "Password:"}}, last: "p", trouble: errBehind, want: errBehind, user: "u"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			x, err := NewMechanisms(&oneUser{user: "u", password: "p", err: tc.trouble}).Start(tc.mechanism)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range tc.steps {
				challenge, done, err := x.Next(s.response)
				if err != nil || done || string(challenge) != s.challenge {
					t.Fatalf("Next(%q) = %q, %v, %v; want %q", s.response, challenge, done, err, s.challenge)
				}
			}
			_, done, err := x.Next([]byte(tc.last))
			if !errors.Is(err, tc.want) || done != (tc.want == nil) || x.User() != tc.user {
				t.Errorf("Next = %v, %v, user %q; want error %v, user %q", done, err, x.User(), tc.want, tc.user)
			}
			if _, done, err := x.Next([]byte("\x00u\x00p")); done || err == nil {
				t.Errorf("Next after the end = %v, %v; want an error", done, err)
			}
		})
	}
}

func TestMechanismsOffered(t *testing.T) {
	t.Parallel()
	m := NewMechanisms(&oneUser{})
	if got := strings.Join(m.Names(), " "); got != "PLAIN LOGIN" {
		t.Errorf("offered: %s", got)
	}
	for _, name := range []string{"CRAM-MD5", "plain", ""} {
		if _, err := m.Start(name); !errors.Is(err, ErrUnknownMechanism) {
			t.Errorf("Start(%q): %v", name, err)
		}
	}
}

func FuzzExchange(f *testing.F) {
	f.Add([]byte("\x00u\x00p"), []byte(""))
	f.Add([]byte("u"), []byte("p"))
	f.Add([]byte("u\x00u\x00p"), []byte("p"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		for _, name := range []string{"PLAIN", "LOGIN"} {
			checker := &oneUser{user: "u", password: "p"}
			x, err := NewMechanisms(checker).Start(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, response := range [][]byte{first, second} {
				_, done, err := x.Next(response)
				if done && (err != nil || x.User() != "u" || !bytes.Contains(append(first, second...), []byte("p"))) {
					t.Fatalf("%s let %q, %q in as %q", name, first, second, x.User())
				}
			}
			if checker.asked > 1 {
				t.Fatalf("%s asked %d times", name, checker.asked)
			}
		}
	})
}
