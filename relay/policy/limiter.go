package policy

import (
	"slices"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// Limiter counts what a user sends against all of the user's rates. In no stretch of time
// that is as long as a rate's period more is taken than the rate has, unless a single message
// is more. Two cannot use it at the same time.
type Limiter struct {
	windows []*window
}

// amount is of messages and of recipients.
type amount [2]int

// Change replaces the rates. What was counted against a rate that stays is still counted, so
// that nobody gets past one by changing another.
func (l *Limiter) Change(rates []config.Rate) {
	old := l.windows
	l.windows = nil
	for _, r := range rates {
		for kind, limit := range (amount{r.Messages, r.Recipients}) {
			w := &window{kind: kind, limit: limit, period: r.Period}
			if limit == 0 || slices.ContainsFunc(l.windows, w.same) {
				continue
			}
			if i := slices.IndexFunc(old, w.same); i >= 0 {
				w = old[i]
			}
			l.windows = append(l.windows, w)
		}
	}
}

// Wait returns how long it takes until a message with that many recipients can be taken; 0
// when it can be now. A message with more recipients than a rate has can be taken when nothing
// else was, and then nothing for as many periods as it has used up.
func (l *Limiter) Wait(now time.Time, recipients int) time.Duration {
	longest := time.Duration(0)
	for _, w := range l.windows {
		longest = max(longest, w.wait(now, amount{1, recipients}[w.kind]))
	}
	return longest
}

// Take counts a message.
func (l *Limiter) Take(now time.Time, recipients int) {
	for _, w := range l.windows {
		w.add(now, amount{1, recipients}[w.kind])
	}
}

// Return takes a message back that was taken at the time.
func (l *Limiter) Return(taken time.Time, recipients int) {
	for _, w := range l.windows {
		w.remove(taken, amount{1, recipients}[w.kind])
	}
}

// Idle reports whether the limiter would forget nothing if it were made anew.
func (l *Limiter) Idle(now time.Time) bool {
	return !slices.ContainsFunc(l.windows, func(w *window) bool { return !w.idle(now) })
}
