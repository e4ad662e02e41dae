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
	// held are messages that are due, but not yet by the rates.
	held entryHeap
	// until is when the next of them may go.
	until time.Time
	// queued counts the user's messages in the queue.
	queued int
}

// setRates replaces the user's rates.
func (l *lane) setRates(rates []config.Rate) {
	l.paced = len(rates) > 0
	l.limiter.Change(rates)
}

// next takes the message out whose turn it is if it may go now, and keeps its place among
// those that may until it starts; nil when there is none.
func (l *lane) next(now time.Time) *entry {
	top := l.held.top()
	if top == nil || now.Before(l.until) {
		return nil
	}
	if wait := l.limiter.Wait(now, top.recipients); wait > 0 {
		l.until = now.Add(wait)
		return nil
	}
	l.limiter.Reserve(top.recipients)
	return l.held.next()
}

// started counts a message for which an attempt begins. One that is only given up is not
// counted.
func (l *lane) started(e *entry, now time.Time, givenUp bool) {
	if !l.paced {
		return
	}
	l.limiter.Unreserve(e.recipients)
	if givenUp {
		l.until = now
		return
	}
	l.limiter.Take(now, e.recipients)
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
		l = &lane{user: user, held: byTurn()}
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
	e.lane.held.add(e)
	e.lane.until = time.Time{}
	s.holding[e.lane] = struct{}{}
	s.metrics.paced.Inc()
}

// letGo makes those held messages ready that may go now.
func (s *Scheduler) letGo(now time.Time) {
	for l := range s.holding {
		for e := l.next(now); e != nil; e = l.next(now) {
			s.metrics.paced.Dec()
			s.ready(e)
		}
		if l.held.Len() == 0 {
			delete(s.holding, l)
		}
	}
}

// takeBack empties the lanes of what is held and of the places that were kept.
func (s *Scheduler) takeBack() []*entry {
	var held []*entry
	for _, l := range s.lanes {
		l.limiter.UnreserveAll()
		l.until = time.Time{}
	}
	for l := range s.holding {
		held = append(held, l.held.entries...)
		l.held = byTurn()
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
