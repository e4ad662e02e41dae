package delivery

import (
	"slices"
	"time"
)

// longestMemory is how many stretches of time a suspension tells apart.
const longestMemory = 64

// suspension is the time that does not count towards the lifetime of messages. It is not kept
// over a restart: a message is then given up that much earlier, but never without an attempt.
type suspension struct {
	over []stretch
	// since is when the one that lasts began; zero when none does.
	since time.Time
}

// stretch is a stretch of time.
type stretch struct{ from, to time.Time }

// set notes whether time counts from now on.
func (s *suspension) set(suspended bool, now time.Time) {
	switch {
	case suspended && s.since.IsZero():
		s.since = now
	case !suspended && !s.since.IsZero():
		s.over = append(s.over, stretch{s.since, now})
		s.since = time.Time{}
		if len(s.over) > longestMemory {
			// Two become one, and the time in between does not count either.
			s.over[1].from = s.over[0].from
			s.over = slices.Delete(s.over, 0, 1)
		}
	}
}

// within is how much of the time between two points did not count.
func (s *suspension) within(from, to time.Time) time.Duration {
	total := time.Duration(0)
	all := s.over
	if !s.since.IsZero() {
		all = append(slices.Clip(all), stretch{s.since, to})
	}
	for _, x := range all {
		if x.from.Before(from) {
			x.from = from
		}
		if x.to.After(to) {
			x.to = to
		}
		total += max(x.to.Sub(x.from), 0)
	}
	return total
}
