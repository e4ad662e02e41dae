package sasl

import (
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

type directory map[string]*config.User

func (d directory) Lookup(name string) (*config.User, bool) {
	u, ok := d[name]
	return u, ok
}

func verifier(t testing.TB, password string) config.Verifier {
	t.Helper()
	v, err := config.NewVerifier(password)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func newPasswords(t testing.TB, users Directory, now func() time.Time) *Passwords {
	t.Helper()
	p, err := NewPasswords(users, now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	older, newer := rand.Text(), rand.Text()
	rotating := []config.Verifier{verifier(t, older), verifier(t, newer)}
	p := newPasswords(t, directory{
		"one":      {Name: "one", Passwords: rotating[:1]},
		"rotating": {Name: "rotating", Passwords: rotating},
		"none":     {Name: "none"},
		"broken":   {Name: "broken", Passwords: []config.Verifier{{Iterations: 1}}},
		"mended":   {Name: "mended", Passwords: []config.Verifier{{Iterations: 1}, rotating[0]}},
	}, nil)
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
			if err := p.CheckPassword(tc.user, tc.password); !errors.Is(err, tc.want) {
				t.Errorf("%s, %s time: %v, want %v", tc.user, again, err, tc.want)
			}
		}
	}
	if err := p.CheckPassword("broken", older); err == nil || errors.Is(err, ErrCredentials) {
		t.Errorf("a verifier that cannot be used gives %v, which is a verdict", err)
	}
}

func TestCheckPasswordForgetsAChangedUser(t *testing.T) {
	t.Parallel()
	password := rand.Text()
	user := config.User{Name: "u", Passwords: []config.Verifier{verifier(t, password)}}
	users := directory{"u": &user}
	p := newPasswords(t, users, nil)
	if err := p.CheckPassword("u", password); err != nil {
		t.Fatal(err)
	}
	users["u"] = &config.User{Name: "u", Passwords: []config.Verifier{verifier(t, rand.Text())}}
	if err := p.CheckPassword("u", password); !errors.Is(err, ErrCredentials) {
		t.Errorf("the old password of a changed user: %v", err)
	}
	delete(users, "u")
	if err := p.CheckPassword("u", password); !errors.Is(err, ErrCredentials) {
		t.Errorf("a removed user: %v", err)
	}
}

func TestCacheIsBoundedAndExpires(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	c := newCache(3, time.Minute, func() time.Time { return now })
	user, other := &config.User{}, &config.User{}
	login := func(i int) loginHash { return loginHash{byte(i)} }

	c.add(login(1), user)
	if !c.has(login(1), user) || c.has(login(2), user) {
		t.Error("the cache does not know what was added")
	}
	if c.has(login(1), other) {
		t.Error("a changed user is still let in")
	}
	if c.has(login(1), user) {
		t.Error("the entry of a changed user is still there")
	}
	c.add(login(1), user)
	now = now.Add(59 * time.Second)
	if !c.has(login(1), user) {
		t.Error("the entry went before its time")
	}
	now = now.Add(time.Second)
	if c.has(login(1), user) {
		t.Error("use has extended the entry")
	}
	for i := range 100 {
		c.add(login(i), user)
		if n := len(c.entries); n > 3 {
			t.Fatalf("%d entries", n)
		}
		if !c.has(login(i), user) {
			t.Fatal("the newest entry is missing")
		}
		now = now.Add(20 * time.Second)
	}
}

func TestPasswordsKeepNoPassword(t *testing.T) {
	t.Parallel()
	p, q := newPasswords(t, directory{}, nil), newPasswords(t, directory{}, nil)
	if first, again := p.hash("u", "p"), p.hash("u", "p"); first != again {
		t.Error("the hash is not stable")
	}
	seen := map[loginHash]string{}
	for _, login := range [][2]string{{"u", "p"}, {"up", ""}, {"", "up"}, {"u", "q"}, {"v", "p"}} {
		h := p.hash(login[0], login[1])
		if twin, ok := seen[h]; ok {
			t.Errorf("%q has the hash of %s", login, twin)
		}
		seen[h] = fmt.Sprintf("%q", login)
	}
	if p.hash("u", "p") == q.hash("u", "p") {
		t.Error("two processes share a key")
	}
}

// TestFailuresTakeTheSameTime compares the work, not single measurements: the fastest of
// several runs leaves out what else the machine does.
func TestFailuresTakeTheSameTime(t *testing.T) {
	one := []config.Verifier{verifier(t, rand.Text())}
	p := newPasswords(t, directory{
		"one":      {Name: "one", Passwords: one},
		"rotating": {Name: "rotating", Passwords: append(one, verifier(t, rand.Text()))},
		"none":     {Name: "none"},
	}, nil)
	fastest := map[string]time.Duration{}
	for range 40 {
		for _, user := range []string{"one", "rotating", "none", "unknown"} {
			start := time.Now()
			if err := p.CheckPassword(user, "wrong"); !errors.Is(err, ErrCredentials) {
				t.Fatalf("%s: %v", user, err)
			}
			if took := time.Since(start); fastest[user] == 0 || took < fastest[user] {
				fastest[user] = took
			}
		}
	}
	low, high := fastest["one"], fastest["one"]
	for _, d := range fastest {
		low, high = min(low, d), max(high, d)
	}
	if float64(high) > 1.5*float64(low) {
		t.Errorf("the time of a failure tells the users apart: %v", fastest)
	}
}

func BenchmarkCheckPasswordCached(b *testing.B) {
	password := rand.Text()
	p := newPasswords(b, directory{"u": {Passwords: []config.Verifier{verifier(b, password)}}}, nil)
	for b.Loop() {
		if err := p.CheckPassword("u", password); err != nil {
			b.Fatal(err)
		}
	}
}
