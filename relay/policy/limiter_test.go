package policy

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func limiterOf(rates ...config.Rate) *Limiter {
	l := &Limiter{}
	l.Change(rates)
	return l
}

// taken is one message that a limiter let through.
type taken struct {
	at         time.Time
	recipients int
}

// flood takes messages as fast as the limiter lets it, for a while.
func flood(l *Limiter, from time.Time, lasting time.Duration, recipients func() int) []taken {
	var all []taken
	now, next := from, recipients()
	for now.Before(from.Add(lasting)) {
		if wait := l.Wait(now, next); wait > 0 {
			now = now.Add(wait)
			continue
		}
		l.Take(now, next)
		all = append(all, taken{now, next})
		next = recipients()
	}
	return all
}

// most is the largest number of messages and recipients in any stretch of a length, which
// can only begin with a message.
func most(all []taken, period time.Duration) (messages, recipients int) {
	for i, first := range all {
		m, r := 0, 0
		for _, next := range all[i:] {
			if next.at.Sub(first.at) >= period {
				break
			}
			m, r = m+1, r+next.recipients
		}
		messages, recipients = max(messages, m), max(recipients, r)
	}
	return messages, recipients
}

func TestNoStretchOfTimeHasMoreThanTheRate(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, rate := range []config.Rate{
		{Messages: 14, Period: time.Minute},
		{Messages: 1, Period: time.Second},
		{Messages: 100, Period: time.Hour},
		{Recipients: 50, Period: time.Minute},
		{Messages: 5, Recipients: 20, Period: 7 * time.Second},
	} {
		l := limiterOf(rate)
		// A few at odd times first, so that the count does not begin with a full slot.
		var all []taken
		now := noon
		for range 5 {
			now = now.Add(time.Duration(random.Int64N(int64(rate.Period) / 4)))
			if l.Wait(now, 3) == 0 {
				l.Take(now, 3)
				all = append(all, taken{now, 3})
			}
		}
		all = append(all, flood(l, now, 10*rate.Period, func() int { return 1 + random.IntN(10) })...)
		messages, recipients := most(all, rate.Period)
		if rate.Messages > 0 && messages > rate.Messages || rate.Recipients > 0 && recipients > rate.Recipients {
			t.Errorf("%+v: %d messages, %d recipients in one period", rate, messages, recipients)
		}
		if rate.Messages > 0 && rate.Recipients == 0 && len(all) < 9*rate.Messages {
			t.Errorf("%+v: only %d messages in ten periods", rate, len(all))
		}
	}
}

func TestAllRatesHold(t *testing.T) {
	t.Parallel()
	l := limiterOf(config.Rate{Messages: 10, Period: time.Second}, config.Rate{Messages: 100, Period: time.Minute})
	all := flood(l, noon, 5*time.Minute, func() int { return 1 })
	second, _ := most(all, time.Second)
	minute, _ := most(all, time.Minute)
	if second != 10 || minute != 100 {
		t.Errorf("%d in a second, %d in a minute", second, minute)
	}
}

func TestWaitIsAsLongAsItTakes(t *testing.T) {
	t.Parallel()
	l := limiterOf(config.Rate{Messages: 2, Period: time.Minute})
	l.Take(noon, 1)
	l.Take(noon.Add(10*time.Second), 1)
	now := noon.Add(20 * time.Second)
	wait := l.Wait(now, 1)
	if wait < 40*time.Second || wait > 41*time.Second {
		t.Fatalf("wait %s", wait)
	}
	if early := l.Wait(now.Add(wait-time.Nanosecond), 1); early != time.Nanosecond {
		t.Errorf("just before: %s", early)
	}
	if l.Wait(now.Add(wait), 1) != 0 {
		t.Error("the wait was too short")
	}
}

func TestMessageLargerThanTheRateGoesAlone(t *testing.T) {
	t.Parallel()
	l := limiterOf(config.Rate{Recipients: 10, Period: time.Minute})
	l.Take(noon, 1)
	if wait := l.Wait(noon, 45); wait < time.Minute || wait > 61*time.Second {
		t.Errorf("behind another: %s", wait)
	}
	later := noon.Add(2 * time.Minute)
	if l.Wait(later, 45) != 0 {
		t.Error("it can never go")
	}
	l.Take(later, 45)
	if wait := l.Wait(later, 1); wait != 5*time.Minute || l.Idle(later.Add(wait-1)) {
		t.Errorf("45 at 10 a minute used up %s", wait)
	}
	l.Return(later, 45)
	if l.Wait(later, 10) != 0 {
		t.Error("what was returned is still counted")
	}
}

func TestReturnedMessageIsNotCounted(t *testing.T) {
	t.Parallel()
	l := limiterOf(config.Rate{Messages: 2, Period: time.Minute})
	l.Take(noon, 1)
	l.Take(noon.Add(30*time.Second), 1)
	l.Return(noon, 1)
	if l.Wait(noon.Add(30*time.Second), 1) != 0 {
		t.Error("the place is not free")
	}
	// What is forgotten already cannot be taken back once more.
	l.Return(noon, 1)
	l.Return(noon.Add(-time.Hour), 1)
	l.Take(noon.Add(31*time.Second), 1)
	if l.Wait(noon.Add(32*time.Second), 1) == 0 {
		t.Error("three in a minute")
	}
}

func TestChangeKeepsTheCountOfRatesThatStay(t *testing.T) {
	t.Parallel()
	stays := config.Rate{Messages: 2, Period: time.Minute}
	l := limiterOf(stays)
	l.Take(noon, 1)
	l.Take(noon, 1)
	l.Change([]config.Rate{{Messages: 1000, Period: time.Hour}, stays, stays})
	if l.Wait(noon, 1) == 0 {
		t.Error("a change of another rate let more through")
	}
	if l.Idle(noon.Add(time.Second)) || !l.Idle(noon.Add(61*time.Second)) || l.Wait(noon.Add(61*time.Second), 1) != 0 {
		t.Error("what was counted is forgotten too early or too late")
	}
	l.Change(nil)
	if l.Wait(noon, 100) != 0 {
		t.Error("a limit without a rate")
	}
}
