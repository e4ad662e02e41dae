package delivery

import (
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/policy"
)

// lane is the mail of one user. Mail that comes faster than the user's rates is held here, so
// that the mail of others goes past it. The scheduler's lock guards it.
type lane struct {
	user string
	// paced is true for a user with rates.
	paced   bool
	limiter policy.Limiter
	// held are messages that are due, by their route.
	held map[*route]*entryHeap
	// until is when the next of them may go by the rates.
	until time.Time
	// queued counts the user's messages in the queue.
	queued int
}

// setRates replaces the user's rates.
func (l *lane) setRates(rates []config.Rate) {
	l.paced = len(rates) > 0
	l.limiter.Change(rates)
}

// hold keeps a due message until its turn.
func (l *lane) hold(e *entry) {
	h := l.held[e.route]
	if h == nil {
		turn := byTurn()
		h = &turn
		if l.held == nil {
			l.held = make(map[*route]*entryHeap)
		}
		l.held[e.route] = h
	}
	h.add(e)
	l.until = time.Time{}
}

// admits reports whether the rates let a message go now. If not, they let none go before it.
func (l *lane) admits(e *entry, now time.Time) bool {
	wait := l.limiter.Wait(now, e.recipients)
	l.until = now.Add(wait)
	return wait == 0
}

// started counts a message for which an attempt begins. One that is only given up is not
// counted.
func (l *lane) started(e *entry, now time.Time, givenUp bool) {
	if l.paced && !givenUp {
		l.limiter.Take(now, e.recipients)
	}
}

// unused takes an attempt back that began at the time and found the upstream out of order.
func (l *lane) unused(e *entry, began time.Time) {
	l.limiter.Return(began, e.recipients)
	l.until = time.Time{}
}

// laneOf returns the lane of a user.
func (s *Scheduler) laneOf(user string) *lane {
	l, ok := s.lanes[user]
	if !ok {
		l = &lane{user: user}
		l.setRates(s.users[user].Rates)
		s.lanes[user] = l
	}
	return l
}

// applyRates gives all lanes their users' rates and forgets those that nobody needs. A user
// who was removed keeps the rates until the last message is gone.
func (s *Scheduler) applyRates(users map[string]config.User) {
	s.users = users
	for name, l := range s.lanes {
		if user, ok := users[name]; ok {
			l.setRates(user.Rates)
		}
		s.forget(l)
	}
}

// forget drops a lane without mail, unless its rates still count.
func (s *Scheduler) forget(l *lane) {
	if l.queued == 0 && l.limiter.Idle(s.options.Clock.Now()) {
		delete(s.lanes, l.user)
	}
}

// holdBack keeps a due message until its user's rates let it go.
func (s *Scheduler) holdBack(e *entry) {
	e.lane.hold(e)
	s.holding[e.lane] = struct{}{}
	s.metrics.paced.Inc()
}

// letGo notes that a held message was taken out of a lane.
func (s *Scheduler) letGo(l *lane, from *route) {
	s.metrics.paced.Dec()
	if l.held[from].Len() > 0 {
		return
	}
	delete(l.held, from)
	if len(l.held) == 0 {
		delete(s.holding, l)
	}
}

// takeBack empties the lanes.
func (s *Scheduler) takeBack() []*entry {
	var held []*entry
	for l := range s.holding {
		for _, h := range l.held {
			held = append(held, h.entries...)
		}
		l.held, l.until = nil, time.Time{}
	}
	clear(s.holding)
	s.metrics.paced.Set(0)
	return held
}

// Backlog says how many messages of a user are in the queue, and how long it takes until the
// user's rates let the next one go.
func (s *Scheduler) Backlog(user string) (messages int, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.lanes[user]
	if !ok {
		return 0, 0
	}
	return l.queued, l.limiter.Wait(s.options.Clock.Now(), 1)
}
