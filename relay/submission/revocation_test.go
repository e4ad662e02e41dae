package submission

import (
	"crypto/rand"
	"crypto/x509"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// TestSessionEndsWithWhatProvedItsLogin changes the user of a session that has sent mail.
func TestSessionEndsWithWhatProvedItsLogin(t *testing.T) {
	t.Parallel()
	another, err := config.NewVerifier(rand.Text())
	if err != nil {
		t.Fatal(err)
	}
	const gone = "421 4.7.0 What this session logged in with is no longer valid: log in again"
	for name, tc := range map[string]struct {
		users map[string]config.User
		want  string
	}{
		"another sender":    {usersOf(config.User{Senders: []string{"*"}, Passwords: []config.Verifier{testVerifier()}}), "250 "},
		"a second password": {usersOf(config.User{Senders: []string{"*"}, Passwords: []config.Verifier{another, testVerifier()}}), "250 "},
		"another password":  {usersOf(config.User{Senders: []string{"*"}, Passwords: []config.Verifier{another}}), gone},
		"two factors": {usersOf(config.User{
			Senders: []string{"*"}, Passwords: []config.Verifier{testVerifier()}, Certificates: []string{"CN:x"}, Require: config.RequireAll,
		}), gone},
		"no user": {nil, "421 4.7.0 This user was removed: log in as another"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t)
			c := f.login()
			c.begin()
			f.users.Replace(tc.users)
			c.do("From: app@example.com\r\n\r\nbegun before\r\n.", "250 ")
			c.do("MAIL FROM:<app@example.com>", tc.want)
			if tc.want[0] == '4' {
				c.expectClosed()
			}
			if n := len(f.spool.messages()); n != 1 {
				t.Errorf("%d messages stored", n)
			}
		})
	}
}

func usersOf(user config.User) map[string]config.User {
	user.Name = testUser
	return map[string]config.User{testUser: user}
}

// TestIdleSessionEndsWithAPasswordWhoseTimeIsOver changes nothing but the time.
func TestIdleSessionEndsWithAPasswordWhoseTimeIsOver(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	f := start(t, func(f *fixture) { f.now = func() time.Time { return time.Unix(clock.Load(), 0) } })
	next, err := testVerifier().Successor(rand.Text())
	if err != nil {
		t.Fatal(err)
	}
	f.users.Replace(usersOf(config.User{
		Senders: []string{"*"}, Passwords: []config.Verifier{next, testVerifier()}, PreviousUntil: time.Unix(3600, 0),
	}))
	c := f.login()
	f.server.EndRevoked()
	c.do("NOOP", "250 ")
	clock.Store(3600)
	f.server.EndRevoked()
	f.server.EndRevoked()
	c.expect("421 4.7.0 ")
	c.expectClosed()
	if n := f.value("mailrelay_sessions_ended_total"); n != 1 || strings.Count(f.log.String(), `"session ended"`) != 1 {
		t.Errorf("%v sessions ended: %s", n, f.log.String())
	}
}

// TestSessionEndsOnceHoweverManyLook is about looks at the same time.
func TestSessionEndsOnceHoweverManyLook(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.login()
	f.users.Replace(nil)
	var lookers sync.WaitGroup
	open := f.server.backend.open.list()
	for range 8 {
		lookers.Go(func() { open[0].endIfRevoked() })
	}
	lookers.Wait()
	c.expect("421 4.7.0 ")
	if n := f.value("mailrelay_sessions_ended_total"); n != 1 {
		t.Errorf("%v sessions ended", n)
	}
}

// TestIdleSessionEndsWithItsCertificate changes nothing but the time.
func TestIdleSessionEndsWithItsCertificate(t *testing.T) {
	t.Parallel()
	var later atomic.Int64
	f := startCertified(t, func(f *fixture) { f.now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) } })
	one, two := f.show(f.app), f.show(f.both)
	one.do("AUTH EXTERNAL =", "235 2.7.0 ")
	two.do("AUTH PLAIN "+plainResponse("", "both.shop", testPassword), "235 2.7.0 ")
	f.server.EndRevoked()
	one.do("NOOP", "250 ")
	later.Store(int64(2 * time.Hour))
	f.server.EndRevoked()
	for _, c := range []*client{one, two} {
		c.expect("421 4.7.0 What this session logged in with is no longer valid")
		c.expectClosed()
	}
}

func TestCertificateIsVerifiedAgainWhenItsCAsChange(t *testing.T) {
	t.Parallel()
	leaf, other := withURI(t, "mailrelay://shop/app").Leaf, withURI(t, "mailrelay://shop/other").Leaf
	pool := func(certificates ...*x509.Certificate) *x509.CertPool {
		p := x509.NewCertPool()
		for _, c := range certificates {
			p.AddCert(c)
		}
		return p
	}
	var cas *x509.CertPool
	b := &backend{clientCAs: func() *x509.CertPool { return cas }, now: time.Now}
	c := b.newCertificate([]*x509.Certificate{leaf})
	for _, tc := range []struct {
		name string
		cas  *x509.CertPool
		want bool
	}{
		{"its CA", pool(leaf), true}, {"another besides", pool(other, leaf), true}, {"another", pool(other), false},
		{"its CA again", pool(leaf), true}, {"none", nil, false},
	} {
		cas = tc.cas
		for range 2 {
			if got := c.vouched(); got != tc.want {
				t.Errorf("%s: vouched for %v", tc.name, got)
			}
		}
	}
}
