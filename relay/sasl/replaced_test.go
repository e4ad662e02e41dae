package sasl

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// TestReplacedPasswordWorksUntilItsTime logs in with the old password and the new one, before
// the old one ends and afterwards.
func TestReplacedPasswordWorksUntilItsTime(t *testing.T) {
	t.Parallel()
	until := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	older, newer := rand.Text(), rand.Text()
	first := verifier(t, older)
	second, err := first.Successor(newer)
	if err != nil {
		t.Fatal(err)
	}
	users := directory{"u": {Name: "u", Passwords: []config.Verifier{second, first}, PreviousUntil: until}}
	now := until.Add(-time.Second)
	m := newMechanisms(t, Options{Users: users, Now: func() time.Time { return now }})
	login := func(mechanism, password string) (Exchange, error) {
		x := begin(t, m, mechanism, Client{})
		var err error
		switch mechanism {
		case "PLAIN":
			_, _, err = x.Next([]byte("\x00u\x00" + password))
		case "LOGIN":
			_, _, _ = x.Next([]byte("u"))
			_, _, err = x.Next([]byte(password))
		default:
			_, err = converse(x, scramClient(t, "u", password, "").NewConversation())
		}
		return x, err
	}
	for _, mechanism := range []string{"PLAIN", "LOGIN", "SCRAM-SHA-256"} {
		now = until.Add(-time.Second)
		for password, replaced := range map[string]bool{older: true, newer: false} {
			x, err := login(mechanism, password)
			if err != nil {
				t.Fatalf("%s, old password %v: %v", mechanism, replaced, err)
			}
			used, ok := x.Password()
			if !ok || users["u"].Replaced(used) != replaced {
				t.Errorf("%s: replaced is %v, want %v", mechanism, !replaced, replaced)
			}
			now = until
			if x.Holds() == replaced {
				t.Errorf("%s, old password %v: holds %v once the old one has ended", mechanism, replaced, x.Holds())
			}
			if _, err := login(mechanism, password); replaced && !errors.Is(err, ErrCredentials) || !replaced && err != nil {
				t.Errorf("%s, old password %v: %v once the old one has ended", mechanism, replaced, err)
			}
			now = until.Add(-time.Second)
		}
	}
}

// TestReplacedCertificateWorksUntilItsTime logs in with both, and with the old one as a second
// factor.
func TestReplacedCertificateWorksUntilItsTime(t *testing.T) {
	t.Parallel()
	until := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	v := verifier(t, password)
	ends := []config.CertificateEnd{{Name: "CN:old", Until: until}}
	users := directory{
		"u":   {Name: "u", Certificates: []string{"CN:new", "CN:old"}, CertificateEnds: ends},
		"two": {Name: "two", Certificates: []string{"CN:old"}, CertificateEnds: ends, Passwords: []config.Verifier{v}, Require: config.RequireAll},
	}
	now := until
	m := newMechanisms(t, Options{Users: users, Now: func() time.Time { return now }})
	for _, tc := range []struct {
		mechanism, certificate, response string
		replaced                         bool
	}{
		{"EXTERNAL", "CN:new", "", false},
		{"EXTERNAL", "CN:old", "u", true},
		{"PLAIN", "CN:old", "\x00two\x00" + password, true},
	} {
		login := func() (Exchange, error) {
			x := begin(t, m, tc.mechanism, Client{Certificate: []string{tc.certificate}})
			_, _, err := x.Next([]byte(tc.response))
			return x, err
		}
		now = until.Add(-time.Second)
		x, err := login()
		if err != nil || !x.Holds() {
			t.Fatalf("%s with %s before the end: %v, holds %v", tc.mechanism, tc.certificate, err, x.Holds())
		}
		now = until
		if x.Holds() == tc.replaced {
			t.Errorf("%s with %s: holds %v after the end of the old one", tc.mechanism, tc.certificate, x.Holds())
		}
		if _, err := login(); tc.replaced != errors.Is(err, ErrCredentials) || !tc.replaced && err != nil {
			t.Errorf("%s with %s: %v after the end of the old one", tc.mechanism, tc.certificate, err)
		}
	}
	// Without an identity the certificate alone says who it is.
	x := begin(t, m, "EXTERNAL", Client{Certificate: []string{"CN:old"}})
	if _, _, err := x.Next([]byte{}); !errors.Is(err, ErrCredentials) {
		t.Errorf("the old one finds its user: %v", err)
	}
}
