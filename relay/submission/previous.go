package submission

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// previousLogins are when users last logged in with a password that has been replaced.
type previousLogins struct {
	mu sync.Mutex
	at map[previousPassword]time.Time
}

type previousPassword struct {
	user     string
	verifier config.Verifier
}

// note notes a login, to the minute, and reports whether it is the first of that minute.
func (l *previousLogins) note(p previousPassword, now time.Time) bool {
	now = now.UTC().Truncate(time.Minute)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == nil {
		l.at = map[previousPassword]time.Time{}
	}
	first := !l.at[p].Equal(now)
	l.at[p] = now
	return first
}

// forget forgets the passwords that are gone.
func (l *previousLogins) forget(there func(previousPassword) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.at, func(p previousPassword, _ time.Time) bool { return !there(p) })
}

// report returns the logins with passwords that are there, the newest first.
func (l *previousLogins) report(there func(previousPassword) bool) []config.PreviousLogin {
	l.mu.Lock()
	defer l.mu.Unlock()
	var logins []config.PreviousLogin
	for p, at := range l.at {
		if there(p) {
			logins = append(logins, config.PreviousLogin{User: p.user, At: at})
		}
	}
	slices.SortFunc(logins, func(a, b config.PreviousLogin) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.User, b.User))
	})
	return logins[:min(len(logins), config.MaxPreviousLogins)]
}

// noteIfReplaced tells of a login with a password that has been replaced: its app has not read
// its Secret again.
func (s *session) noteIfReplaced(l *login) {
	verifier, ok := l.exchange.Password()
	if !ok {
		return
	}
	user, ok := s.users.Lookup(l.exchange.User())
	if !ok || !user.Replaced(verifier) {
		return
	}
	s.metrics.previous.Inc()
	if s.previous.note(previousPassword{user.Name, verifier}, s.now()) {
		s.log.Warn("logged in with a password that has been replaced: let the app read its password again, or restart it",
			s.about("ends", user.PreviousUntil)...)
	}
}

// PreviousLogins are when users last logged in with a password that has been replaced and is
// still accepted, the newest first, config.MaxPreviousLogins at most.
func (s *Server) PreviousLogins() []config.PreviousLogin {
	return s.backend.previous.report(s.backend.stillReplaced)
}

// stillReplaced reports whether a password still waits for its end.
func (b *backend) stillReplaced(p previousPassword) bool {
	user, ok := b.users.Lookup(p.user)
	return ok && user.Replaced(p.verifier)
}
