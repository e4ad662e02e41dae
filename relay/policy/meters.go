package policy

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// Meters count what those users submit whose mail is refused when it comes too fast. Many can
// use them at the same time; the zero Meters has counted nothing.
type Meters struct {
	mu     sync.Mutex
	byUser map[string]*meter
}

type meter struct {
	rates   []config.Rate
	limiter Limiter
}

// Wait returns how long the user has to wait with a message to that many recipients; 0 for
// not at all.
func (m *Meters) Wait(user *config.User, now time.Time, recipients int) time.Duration {
	if user.OnExceed != config.OnExceedRefuse {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of(user, now).Wait(now, recipients)
}

// Take counts a message, unless the user has to wait with it.
func (m *Meters) Take(user *config.User, now time.Time, recipients int) (wait time.Duration) {
	if user.OnExceed != config.OnExceedRefuse {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.of(user, now)
	if wait := l.Wait(now, recipients); wait > 0 {
		return wait
	}
	l.Take(now, recipients)
	return 0
}

// Return takes back a message that was counted at the time and came to nothing.
func (m *Meters) Return(user *config.User, taken time.Time, recipients int) {
	if user.OnExceed != config.OnExceedRefuse {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(user, taken).Return(taken, recipients)
}

// of returns the user's limiter. Limiters that have nothing to remember make place for a new
// one.
func (m *Meters) of(user *config.User, now time.Time) *Limiter {
	known, ok := m.byUser[user.Name]
	if !ok {
		maps.DeleteFunc(m.byUser, func(_ string, other *meter) bool { return other.limiter.Idle(now) })
		if m.byUser == nil {
			m.byUser = make(map[string]*meter)
		}
		known = &meter{}
		m.byUser[user.Name] = known
	}
	if !slices.Equal(known.rates, user.Rates) {
		known.rates = user.Rates
		known.limiter.Change(user.Rates)
	}
	return &known.limiter
}
