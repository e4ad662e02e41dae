package delivery

import (
	"testing"
	"time"
)

func TestSuspensionAddsUpWhatLiesWithin(t *testing.T) {
	t.Parallel()
	noon := newFakeClock().now
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	var s suspension
	s.set(false, at(0))
	s.set(true, at(10))
	s.set(true, at(12))
	s.set(false, at(20))
	s.set(true, at(30))
	for _, tt := range []struct{ from, to, want int }{
		{0, 5, 0}, {0, 15, 5}, {0, 20, 10}, {0, 25, 10}, {12, 18, 6}, {15, 40, 15}, {20, 30, 0}, {35, 60, 25},
	} {
		if got := s.within(at(tt.from), at(tt.to)); got != time.Duration(tt.want)*time.Minute {
			t.Errorf("from minute %d to %d: %s, want %d minutes", tt.from, tt.to, got, tt.want)
		}
	}
}

func TestSuspensionRemembersABoundedNumberOfStretches(t *testing.T) {
	t.Parallel()
	now := newFakeClock().now
	start := now
	var s suspension
	for range 10 * longestMemory {
		s.set(true, now)
		now = now.Add(time.Minute)
		s.set(false, now)
		now = now.Add(time.Minute)
	}
	if len(s.over) > longestMemory {
		t.Errorf("%d stretches", len(s.over))
	}
	if got := s.within(start, now); got < 10*longestMemory*time.Minute {
		t.Errorf("%s is less than what was suspended", got)
	}
}
