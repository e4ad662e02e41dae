package delivery

import (
	"slices"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/message/dkim"
)

// Apply replaces the configuration. Attempts under way end as they began; an upstream that
// did not change keeps its connections, one that did is tried at once.
func (s *Scheduler) Apply(snapshot *config.Snapshot) {
	s.mu.Lock()
	hostname := snapshot.Config.Hostname
	oldKeys := s.settings.dkim
	s.settings = settings{hostname, snapshot.Config.Queue, snapshot.Config.Logging.Recipients, dkimKeys(snapshot)}
	s.applyRates(snapshot.Users)
	due := s.takeDue()
	if keyCame(oldKeys, s.settings.dkim) {
		due = append(due, s.takeUnsigned()...)
	}
	replaced := s.replaceUpstreams(snapshot.Upstreams)
	reload := s.replaceRoutes(newRoutes(snapshot.Config.Routes))
	if reload {
		s.drop(append(due, s.takeWaiting()...))
		due = nil
	}
	for _, e := range due {
		s.schedule(e)
	}
	s.dispatch()
	if reload && s.running {
		s.attempts.Go(s.loadAgain)
	}
	s.mu.Unlock()
	for _, t := range replaced {
		go t.close()
	}
}

// takeDue takes out all messages that are due.
func (s *Scheduler) takeDue() []*entry {
	due := s.takeBack()
	for _, r := range s.routes {
		due = append(due, r.ready.entries...)
		r.ready = byAge()
	}
	for _, u := range s.upstreams {
		due = append(due, u.pinned.entries...)
		u.pinned = byPin()
	}
	return due
}

// takeWaiting takes out all messages that are not due.
func (s *Scheduler) takeWaiting() []*entry {
	waiting := s.waiting.entries
	s.waiting = byDue()
	return waiting
}

// replaceUpstreams takes over the upstreams of a configuration. It returns the transports that
// are not used any more.
func (s *Scheduler) replaceUpstreams(wanted []config.ResolvedUpstream) (replaced []transport) {
	old := s.upstreams
	s.upstreams = nil
	for _, c := range wanted {
		u := take(old, c.Name)
		if u.transport != nil && (u.hostname != s.settings.hostname || !sameUpstream(u.config, c)) {
			replaced = append(replaced, u.transport)
			u.transport = nil
		}
		u.config, u.hostname = c, s.settings.hostname
		u.pacer.change(c.Limits.Rates)
		s.upstreams = append(s.upstreams, u)
		if u.transport == nil {
			u.gate.reset()
			s.connectTo(u)
		}
	}
	for _, u := range old {
		if s.find(u.config.Name) == nil {
			replaced = append(replaced, u.transport)
			s.metrics.held.DeleteLabelValues(u.config.Name)
		}
	}
	return replaced
}

// replaceRoutes takes over the routes of a configuration. It reports whether messages have to
// be split anew.
func (s *Scheduler) replaceRoutes(wanted routes) (again bool) {
	again = !s.routes.same(wanted)
	if again {
		s.routes = wanted
	}
	s.routes.connect(s.upstreams)
	for _, u := range s.upstreams {
		s.changed(u)
	}
	return again
}

// drop forgets messages, but for those of which an attempt at a part is under way.
func (s *Scheduler) drop(entries []*entry) {
	for _, e := range s.known {
		for _, part := range e.siblings() {
			if part.parked {
				part.parked = false
				entries = append(entries, part)
			}
		}
	}
	for _, e := range entries {
		s.remove(e)
	}
	clear(s.unsigned)
}

// loadAgain takes in what was dropped, by the routes in use. What is known already it leaves.
func (s *Scheduler) loadAgain() {
	err := s.load(s.work)
	if err == nil || s.work.Err() != nil {
		return
	}
	s.options.Logger.Error("cannot read the queue after a change of routes, trying again", "error", err, "pause", readAgain)
	s.options.Clock.AfterFunc(readAgain, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.running {
			s.attempts.Go(s.loadAgain)
		}
	})
}

func dkimKeys(snapshot *config.Snapshot) []dkim.Key {
	var keys []dkim.Key
	for _, k := range snapshot.DKIM {
		keys = append(keys, dkim.Key{Domain: k.Domain, Selector: k.Selector, Signer: k.Signer})
	}
	return keys
}

// keyCame reports whether a key that was missing is there, or not asked for any more.
func keyCame(before, now []dkim.Key) bool {
	return slices.ContainsFunc(before, func(old dkim.Key) bool {
		return old.Signer == nil && !slices.ContainsFunc(now, func(k dkim.Key) bool {
			return k.Signer == nil && k.Domain == old.Domain && k.Selector == old.Selector
		})
	})
}

// takeUnsigned takes the messages out of those that wait whose key was missing. They are due.
func (s *Scheduler) takeUnsigned() []*entry {
	var due []*entry
	waiting := byDue()
	for _, e := range s.waiting.entries {
		if _, ok := s.unsigned[e]; !ok {
			waiting.add(e)
			continue
		}
		e.due = 0
		due = append(due, e)
	}
	s.waiting = waiting
	return due
}

// take returns the upstream of a name, a new one when there is none.
func take(upstreams []*upstream, name string) *upstream {
	for _, u := range upstreams {
		if u.config.Name == name {
			return u
		}
	}
	return &upstream{pinned: byPin(), report: config.UpstreamReport{Name: name}}
}

// connectTo gives an upstream a transport.
func (s *Scheduler) connectTo(u *upstream) {
	connections := s.metrics.connections.WithLabelValues(u.config.Name)
	u.transport = s.options.transport(u.config, connections)
}
