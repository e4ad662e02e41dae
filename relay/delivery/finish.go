package delivery

import "time"

// finish takes a message back after an attempt.
func (s *Scheduler) finish(a *attempt, next disposition) {
	e := a.entry
	delete(s.unsigned, e)
	if next.unrecorded {
		s.options.Clock.AfterFunc(unwritable.after(a.unrecorded), func() { s.recordAgain(a) })
		return
	}
	e.busy = false
	switch {
	case next.done:
		s.remove(e)
	case !s.current(e):
		s.splitAgain(a, next)
	case a.envelope == nil:
		e.setDue(next.due)
		s.schedule(e)
	default:
		s.putBack(a, next)
	}
	s.unpark(e)
	s.noticeAfter(e.id)
}

// putBack keeps what is left of the entry for another attempt.
func (s *Scheduler) putBack(a *attempt, next disposition) {
	e := a.entry
	e.look(a.envelope, s.routes)
	switch {
	case e.recipients > 0:
		e.setDue(next.due)
		if a.keyMissing() {
			s.unsigned[e] = struct{}{}
		}
		s.schedule(e)
	case e.sibling == nil:
		// The recipients that are left take other routes.
		s.splitAgain(a, next)
	default:
		s.remove(e)
	}
}

// setDue says when to try again; zero is at once.
func (e *entry) setDue(due time.Time) {
	e.due = 0
	if !due.IsZero() {
		e.due = due.UnixNano()
	}
}

// remove forgets a part of a message, and the message with the last one.
func (s *Scheduler) remove(e *entry) {
	others := e.siblings()[1:]
	next := e.unlink()
	for _, other := range others {
		s.unparkOne(other)
	}
	if next != nil {
		s.known[e.id] = next
		return
	}
	delete(s.known, e.id)
	e.lane.queued--
	s.forget(e.lane)
}

// unpark schedules the parts that waited for an attempt at this one.
func (s *Scheduler) unpark(e *entry) {
	for _, other := range e.siblings()[1:] {
		s.unparkOne(other)
	}
}

func (s *Scheduler) unparkOne(e *entry) {
	if e.parked {
		e.parked = false
		s.schedule(e)
	}
}

// current reports whether the entry's route is one of the configuration in use.
func (s *Scheduler) current(e *entry) bool {
	for _, r := range s.routes {
		if r == e.route {
			return true
		}
	}
	return false
}

// splitAgain takes a message in by the routes in use, after an attempt by others.
func (s *Scheduler) splitAgain(a *attempt, next disposition) {
	e := a.entry
	if a.envelope == nil {
		// Its recipients are not known now; the next attempt shows them.
		e.route = s.routes[len(s.routes)-1]
		e.setDue(next.due)
		s.schedule(e)
		return
	}
	s.remove(e)
	if _, ok := s.known[e.id]; !ok {
		s.add(a.envelope, next.due)
	}
}
