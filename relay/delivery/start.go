package delivery

import "time"

// startNext begins an attempt at the message that is due the longest among those that may go
// now. It reports false when there is none.
func (s *Scheduler) startNext(now time.Time) bool {
	for {
		e, u := s.nextReady(now)
		if e == nil {
			return false
		}
		if s.blocked(e) {
			s.takeOut(e)
			e.parked = true
			continue
		}
		if !u.pacer.admits(now, e.recipients) {
			continue
		}
		s.takeOut(e)
		s.begin(e, u, nil, now)
		return true
	}
}

// nextReady returns the message that is due the longest and may go now, with the upstream that
// it goes to. It stays where it is.
func (s *Scheduler) nextReady(now time.Time) (next *entry, to *upstream) {
	for _, r := range s.routes {
		top := r.ready.top()
		if top == nil || next != nil && next.accepted <= top.accepted {
			continue
		}
		if u := r.choose(now, s.options.Rand()); u != nil {
			next, to = top, u
		}
	}
	for l := range s.holding {
		if now.Before(l.until) {
			continue
		}
		for r, held := range l.held {
			top := held.top()
			if next != nil && next.accepted <= top.accepted {
				continue
			}
			u := r.choose(now, s.options.Rand())
			if u != nil && l.admits(top, now) {
				next, to = top, u
			}
		}
	}
	return next, to
}

// takeOut takes the message out of where nextReady found it.
func (s *Scheduler) takeOut(e *entry) {
	if e.route.ready.top() == e {
		e.route.ready.next()
		return
	}
	e.lane.held[e.route].next()
	s.letGo(e.lane, e.route)
}

// startPinned begins attempts at messages that only this upstream may take, and lets go of
// those that may have waited for it long enough.
func (s *Scheduler) startPinned(u *upstream, now time.Time) {
	for top := u.pinned.top(); top != nil; top = u.pinned.top() {
		switch {
		case !now.Before(top.pin.until):
			s.schedule(u.pinned.next())
		case s.blocked(top):
			u.pinned.next().parked = true
		case u.free(now) && u.pacer.admits(now, top.recipients):
			s.begin(u.pinned.next(), u, nil, now)
		default:
			return
		}
	}
}

// giveUp ends messages of a route whose lifetime is over while none of its upstreams can be
// used. Where a login is refused nothing is given up: only an administrator can mend that.
func (s *Scheduler) giveUp(r *route, now time.Time) {
	fault := r.fault()
	if fault == nil {
		return
	}
	u := r.upstreams[0]
	for u.active < u.config.Limits.Connections {
		e := s.expired(r, now)
		if e == nil {
			return
		}
		s.takeOut(e)
		if s.blocked(e) {
			e.parked = true
			continue
		}
		s.begin(e, u, fault, now)
	}
}

// blocked reports whether something else is going to write the envelope of a message: an
// attempt at another part of it, or a notice that it is late. It must wait for that.
func (s *Scheduler) blocked(e *entry) bool {
	_, writing := s.delays.writing[e.id]
	return writing || e.waitsForSibling()
}

// expired returns a message of the route whose lifetime is over. It stays where it is.
func (s *Scheduler) expired(r *route, now time.Time) *entry {
	lifetime := s.settings.queue.Lifetime
	if top := r.ready.top(); top != nil && top.expired(now, lifetime) {
		return top
	}
	for l := range s.holding {
		if held := l.held[r]; held != nil && held.top().expired(now, lifetime) {
			return held.top()
		}
	}
	return nil
}

// begin starts an attempt. With a fault it is one that only gives up.
func (s *Scheduler) begin(e *entry, u *upstream, fault *Error, now time.Time) {
	a := &attempt{
		scheduler:  s,
		entry:      e,
		routes:     s.routes,
		upstream:   u,
		config:     u.config,
		transport:  u.transport,
		settings:   s.settings,
		generation: u.gate.generation,
		fault:      fault,
		giveUp:     fault != nil,
		started:    now,
		suspended:  e.route.suspended.within(time.Unix(0, e.accepted), now),
	}
	e.busy = true
	e.lane.started(e, now, a.giveUp)
	if !a.giveUp {
		u.pacer.take(now, e.recipients)
	}
	u.active++
	s.attempts.Add(1)
	go func() {
		defer s.attempts.Done()
		next := a.run(s.work)
		s.mu.Lock()
		defer s.mu.Unlock()
		u.leave(a)
		if a.fault != nil && !a.giveUp {
			e.lane.unused(e, now)
			u.pacer.giveBack(now, e.recipients)
		}
		s.observe(a)
		s.finish(a, next)
		s.dispatch()
	}()
}

// passOn gives the place of an attempt at which nothing went wrong to the next one: what it
// brought is written down while the upstream takes another message. As many as may run at once
// can be at that, so that a crash repeats twice as many deliveries at most.
func (s *Scheduler) passOn(a *attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := a.upstream
	if len(a.errors) > 0 || a.giveUp || a.interrupted || u.recording >= u.config.Limits.Connections {
		return
	}
	u.active--
	u.recording++
	a.passed = true
	s.dispatch()
}
