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
	due := append(s.takeBack(), s.unrouted...)
	if keyCame(oldKeys, s.settings.dkim) {
		due = append(due, s.takeUnsigned()...)
	}
	s.unrouted = nil
	old := s.upstreams
	s.upstreams = nil
	var replaced []transport
	for _, c := range snapshot.Upstreams {
		u := take(old, c.Name)
		if u.transport != nil && (u.hostname != hostname || !sameUpstream(u.config, c)) {
			replaced = append(replaced, u.transport)
			u.transport = nil
		}
		u.config, u.hostname = c, hostname
		s.upstreams = append(s.upstreams, u)
		if u.transport == nil {
			u.gate.reset()
			s.connectTo(u)
		}
	}
	for _, u := range old {
		due = append(due, u.ready.entries...)
		u.ready = byAge()
		if s.find(u.config.Name) == nil {
			replaced = append(replaced, u.transport)
		}
	}
	for _, e := range due {
		s.schedule(e)
	}
	s.dispatch()
	s.mu.Unlock()
	for _, t := range replaced {
		go t.close()
	}
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
	return &upstream{ready: byAge(), report: config.UpstreamReport{Name: name}}
}

// connectTo gives an upstream a transport.
func (s *Scheduler) connectTo(u *upstream) {
	connections := s.metrics.connections.WithLabelValues(u.config.Name)
	u.transport = s.options.transport(u.config, connections)
}
