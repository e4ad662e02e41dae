package submission

import (
	"crypto/rand"
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
