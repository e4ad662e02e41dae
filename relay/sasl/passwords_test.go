package sasl

import (
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	older, newer := rand.Text(), rand.Text()
	rotating := []config.Verifier{verifier(t, older), verifier(t, newer)}
	m := newMechanisms(t, Options{Users: directory{
		"one":      {Name: "one", Passwords: rotating[:1]},
		"rotating": {Name: "rotating", Passwords: rotating},
		"none":     {Name: "none"},
		"broken":   {Name: "broken", Passwords: []config.Verifier{{Iterations: 1}}},
		"mended":   {Name: "mended", Passwords: []config.Verifier{{Iterations: 1}, rotating[0]}},
	}})
	a := attempt{Mechanisms: m}
	for _, tc := range []struct {
		user, password string
		want           error
	}{
		{"one", older, nil},
		{"one", newer, ErrCredentials},
		{"one", "", ErrCredentials},
		{"rotating", older, nil},
		{"rotating", newer, nil},
		{"rotating", "x", ErrCredentials},
		{"none", "", ErrCredentials},
		{"unknown", older, ErrCredentials},
		{"", "", ErrCredentials},
		{"mended", older, nil},
	} {
		for _, again := range []string{"first", "second"} {
			if err := a.checkPassword(tc.user, tc.password); !errors.Is(err, tc.want) {
				t.Errorf("%s, %s time: %v, want %v", tc.user, again, err, tc.want)
			}
		}
	}
	if err := a.checkPassword("broken", older); err == nil || errors.Is(err, ErrCredentials) {
		t.Errorf("a verifier that cannot be used gives %v, which is a verdict", err)
	}
}

func TestCheckPasswordForgetsAChangedUser(t *testing.T) {
	t.Parallel()
	password := rand.Text()
	users := directory{"u": {Name: "u", Passwords: []config.Verifier{verifier(t, password)}}}
	a := attempt{Mechanisms: newMechanisms(t, Options{Users: users})}
	if err := a.checkPassword("u", password); err != nil {
		t.Fatal(err)
	}
	users["u"] = &config.User{Name: "u", Passwords: []config.Verifier{verifier(t, rand.Text())}}
	if err := a.checkPassword("u", password); !errors.Is(err, ErrCredentials) {
		t.Errorf("the old password of a changed user: %v", err)
	}
	delete(users, "u")
	if err := a.checkPassword("u", password); !errors.Is(err, ErrCredentials) {
		t.Errorf("a removed user: %v", err)
	}
}

func TestHashesOfPairsDiffer(t *testing.T) {
	t.Parallel()
	if first, again := hashPair([]byte("k"), "u", "p"), hashPair([]byte("k"), "u", "p"); first != again {
		t.Error("the hash is not stable")
	}
	seen := map[pairHash]string{}
	for _, pair := range [][3]string{{"k", "u", "p"}, {"k", "up", ""}, {"k", "", "up"}, {"k", "u", "q"}, {"k", "v", "p"}, {"l", "u", "p"}} {
		h := hashPair([]byte(pair[0]), pair[1], pair[2])
		if twin, ok := seen[h]; ok {
			t.Errorf("%q has the hash of %s", pair, twin)
		}
		seen[h] = fmt.Sprintf("%q", pair)
	}
}

func BenchmarkCheckPasswordKnown(b *testing.B) {
	a := attempt{Mechanisms: newMechanisms(b, Options{})}
	for b.Loop() {
		if err := a.checkPassword("u", password); err != nil {
			b.Fatal(err)
		}
	}
}

// TestLoginsOfAFullRelayAreRemembered: a user who is forgotten costs most of a millisecond again.
func TestLoginsOfAFullRelayAreRemembered(t *testing.T) {
	t.Parallel()
	const users = 5000
	known := newMechanisms(t, Options{}).passwords.known
	logins := make([]pairHash, 0, 2*users)
	for i := range users {
		for _, which := range []string{"old", "new"} {
			login := hashPair([]byte("key"), fmt.Sprintf("app-%d.team", i), which)
			logins = append(logins, login)
			known.update(login, func(*proven) *proven { return new(proven) })
		}
	}
	for _, login := range logins {
		if known.get(login) == nil {
			t.Fatal("a login is forgotten")
		}
	}
}

// BenchmarkMemoryOfALogin tells what is kept of each.
func BenchmarkMemoryOfALogin(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	known := newMemory[pairHash, *proven](knownLogins, loginLifetime, time.Now)
	for i := range knownLogins {
		known.update(hashPair(nil, strconv.Itoa(i), ""), func(*proven) *proven { return new(proven) })
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/knownLogins, "B/login")
	runtime.KeepAlive(known)
}
