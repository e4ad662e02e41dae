package delivery

import (
	"slices"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// route is a set of upstreams and the mail that is due for them.
type route struct {
	config.Route
	// upstreams of the route that can be used as far as the configuration goes, those of the
	// lowest order first.
	upstreams []*upstream
	// ready are messages that are due and that any of the upstreams may take.
	ready entryHeap
	// suspended is the time in which no upstream took our login.
	suspended suspension
}

// routes are all routes of a configuration. The last one takes what the others do not match.
type routes []*route

// newRoutes makes the routes of a configuration. They have no upstreams yet.
func newRoutes(configured []config.Route) routes {
	var all routes
	for _, r := range configured {
		all = append(all, &route{Route: r, ready: byAge()})
	}
	return append(all, &route{ready: byAge()})
}

// same reports whether messages are split in the same way by both.
func (all routes) same(other routes) bool {
	return slices.EqualFunc(all, other, func(a, b *route) bool {
		return slices.Equal(a.Senders, b.Senders) && slices.Equal(a.Recipients, b.Recipients) && slices.Equal(a.Upstreams, b.Upstreams)
	})
}

// of returns the route of one recipient.
func (all routes) of(reversePath, recipient string) *route {
	last := len(all) - 1
	for _, r := range all[:last] {
		if r.Matches(reversePath, recipient) {
			return r
		}
	}
	return all[last]
}

// connect gives the routes their upstreams; the last one gets those that no other names.
func (all routes) connect(upstreams []*upstream) {
	for _, r := range all {
		r.upstreams = nil
	}
	last := all[len(all)-1]
	for _, u := range upstreams {
		named := false
		for _, r := range all {
			if slices.Contains(r.Route.Upstreams, u.config.Name) {
				r.upstreams, named = append(r.upstreams, u), true
			}
		}
		if !named {
			last.upstreams = append(last.upstreams, u)
		}
	}
	for _, r := range all {
		slices.SortStableFunc(r.upstreams, func(a, b *upstream) int { return a.config.Order - b.config.Order })
	}
}

// usable is the order of the first upstreams that mail can be expected to get through to;
// false when there are none.
func (r *route) usable() (order int, ok bool) {
	for _, u := range r.upstreams {
		if u.gate.usable() {
			return u.config.Order, true
		}
	}
	return 0, false
}

// choose returns the upstream that the next message goes to, nil when none is free now. Those
// of a lower order than the first usable ones are tried as well, by one message at a time: it
// finds out whether they are back. Random is a number in [0,1).
func (r *route) choose(now time.Time, random float64) *upstream {
	order, ok := r.usable()
	var few [4]*upstream
	free, weights := few[:0], 0
	for _, u := range r.upstreams {
		if ok && u.config.Order > order || len(free) > 0 && u.config.Order > free[0].config.Order {
			break
		}
		if u.free(now) {
			free = append(free, u)
			weights += u.config.Weight
		}
	}
	share := random * float64(weights)
	for _, u := range free {
		if share -= float64(u.config.Weight); share < 0 {
			return u
		}
	}
	if len(free) > 0 {
		return free[0]
	}
	return nil
}

// fault is why no upstream of the route takes mail now; nil when one does, or when only an
// administrator can mend a login.
func (r *route) fault() *Error {
	var first *Error
	for _, u := range r.upstreams {
		switch {
		case u.gate.fault == nil, u.gate.fault.Class == ClassAuthentication:
			return nil
		case first == nil:
			first = u.gate.fault
		}
	}
	return first
}

// noteLogins keeps the time in which the mail of the route waits for a login that works.
func (r *route) noteLogins(now time.Time) {
	_, usable := r.usable()
	refused := slices.ContainsFunc(r.upstreams, func(u *upstream) bool {
		return u.gate.fault != nil && u.gate.fault.Class == ClassAuthentication
	})
	r.suspended.set(refused && !usable, now)
}
