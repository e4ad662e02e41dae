package submission

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestLoginsWithAReplacedPasswordAreToldOf(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)
	f := start(t, func(f *fixture) { f.now = func() time.Time { return now } })
	second, err := testVerifier().Successor(rand.Text())
	if err != nil {
		t.Fatal(err)
	}
	rotated := config.User{Senders: []string{"*"}, Passwords: []config.Verifier{second, testVerifier()}, PreviousUntil: now.Add(time.Hour)}
	told := func(at ...time.Time) {
		t.Helper()
		var want []config.PreviousLogin
		for _, at := range at {
			want = append(want, config.PreviousLogin{User: testUser, At: at})
		}
		if got := f.server.PreviousLogins(); !slices.Equal(got, want) {
			t.Errorf("reported are %v, want %v", got, want)
		}
	}
	f.login()
	told()
	f.users.Replace(usersOf(rotated))
	f.login()
	f.login()
	told(now.Truncate(time.Minute))
	now = now.Add(time.Minute)
	f.login()
	told(now.Truncate(time.Minute))
	if n := strings.Count(f.log.String(), "a password that has been replaced"); n != 2 || f.value("mailrelay_auth_previous_password_total") != 3 {
		t.Errorf("%d lines and %v logins, want a line a minute and 3", n, f.value("mailrelay_auth_previous_password_total"))
	}
	third, err := second.Successor(rand.Text())
	if err != nil {
		t.Fatal(err)
	}
	rotated.Passwords = []config.Verifier{third, second}
	f.users.Replace(usersOf(rotated))
	told()
}

func TestReportOfPreviousLoginsIsBounded(t *testing.T) {
	t.Parallel()
	var l previousLogins
	begin := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for i := range config.MaxPreviousLogins + 10 {
		l.note(previousPassword{user: rand.Text()}, begin.Add(time.Duration(i)*time.Minute))
	}
	got := l.report(func(previousPassword) bool { return true })
	if len(got) != config.MaxPreviousLogins || !got[0].At.After(got[1].At) {
		t.Errorf("%d logins, from %v", len(got), got[0].At)
	}
	gone := func(previousPassword) bool { return false }
	if got := l.report(gone); got != nil || len(l.at) != config.MaxPreviousLogins+10 {
		t.Errorf("of passwords that are gone it reports %v, and %d are kept: a report changes nothing", got, len(l.at))
	}
	if l.forget(gone); len(l.at) != 0 {
		t.Errorf("%d are kept that are gone", len(l.at))
	}
}
