package delivery

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// pace gives users rates, and takes those of all others away.
func (r *testRelay) pace(rates map[string]config.Rate) {
	changed := *r.snapshot
	changed.Users = map[string]config.User{"paced": {Name: "paced"}, "other": {Name: "other"}}
	for user, rate := range rates {
		changed.Users[user] = config.User{Name: user, Rates: []config.Rate{rate}}
	}
	r.snapshot = &changed
	r.scheduler.Apply(r.snapshot)
}

func (r *testRelay) submitMany(n int, user string) {
	r.Helper()
	for i := range n {
		r.submitAs(user, user+"@example.com", fmt.Sprintf("%s%d@x.test", user, i))
	}
}

// sentBy counts the transactions of a user.
func (u *testUpstream) sentBy(user string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := 0
	for _, m := range u.messages {
		if m.reversePath == user+"@example.com" {
			n++
		}
	}
	return n
}

func TestNoMinuteHasMoreThanTheRate(t *testing.T) {
	t.Parallel()
	const rate, messages = 14, 100
	r := newTestRelay(t)
	r.pace(map[string]config.Rate{"paced": {Messages: rate, Period: time.Minute}})
	r.run()
	r.clock.advance(25 * time.Second)
	r.submitMany(messages, "paced")
	var at []time.Time
	for range 9 * 60 {
		r.rest()
		for len(at) < r.first().transactions() {
			at = append(at, r.clock.Now())
		}
		r.clock.advance(time.Second)
	}
	if len(at) != messages {
		t.Fatalf("%d of %d messages delivered in nine minutes at %d a minute", len(at), messages, rate)
	}
	for i := range at[:messages-rate] {
		if period := at[i+rate].Sub(at[i]); period < time.Minute {
			t.Errorf("messages %d to %d were delivered in %s", i, i+rate, period)
		}
	}
	if n := r.counted("mailrelay_queue_paced_messages"); n != 0 {
		t.Errorf("%v messages are said to wait", n)
	}
}

func TestPacedMailDoesNotDelayThatOfOthers(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.pace(map[string]config.Rate{"paced": {Messages: 1, Period: time.Hour}})
	r.run()
	r.submitMany(1000, "paced")
	r.submitMany(5, "other")
	eventually(t, "the others' mail", func() bool { return r.first().sentBy("other") == 5 })
	r.rest()
	if n := r.first().sentBy("paced"); n != 1 {
		t.Errorf("%d of the paced messages were delivered", n)
	}
	if n := r.counted("mailrelay_queue_paced_messages"); n != 999 {
		t.Errorf("%v messages are said to wait", n)
	}
	if n, wait := r.scheduler.Backlog("paced"); n != 999 || wait < time.Hour || wait > time.Hour+time.Minute {
		t.Errorf("backlog %d, %s", n, wait)
	}
	if n, wait := r.scheduler.Backlog("nobody"); n != 0 || wait != 0 {
		t.Errorf("backlog of nobody: %d, %s", n, wait)
	}
}

func TestOldestPacedMessageGoesFirst(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.pace(map[string]config.Rate{"paced": {Messages: 1, Period: time.Second}})
	for i := range 5 {
		r.submitAs("paced", "paced@example.com", fmt.Sprintf("%d@x.test", i))
		r.clock.advance(time.Millisecond)
	}
	r.run()
	for range 7 {
		r.rest()
		r.clock.advance(time.Second)
	}
	r.gone()
	for i := range 5 {
		if got := r.first().recipients(i + 1)[0]; got != fmt.Sprintf("%d@x.test", i) {
			t.Errorf("message %d went to %s", i, got)
		}
	}
}

func TestRecipientsCountAgainstTheirRate(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.pace(map[string]config.Rate{"paced": {Recipients: 5, Period: time.Minute}})
	r.run()
	for range 4 {
		r.submitAs("paced", "paced@example.com", "a@x.test", "b@x.test")
	}
	r.rest()
	if n := r.first().transactions(); n != 2 {
		t.Errorf("%d messages of two recipients delivered at once", n)
	}
	r.clock.advance(62 * time.Second)
	r.gone()
}

func TestUpstreamThatIsDownDoesNotUseUpARate(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.pace(map[string]config.Rate{"paced": {Messages: 2, Period: time.Hour}})
	var down atomic.Bool
	down.Store(true)
	r.first().answer = func(int, string) *Error {
		if down.Load() {
			return errDown
		}
		return nil
	}
	r.run()
	r.submitMany(3, "paced")
	r.submitAs("other", "other@example.com", "a@x.test")
	for range 20 {
		r.clock.advance(30 * time.Second)
		r.rest()
	}
	tried := r.first().transactions()
	down.Store(false)
	r.clock.advance(30 * time.Second)
	eventually(t, "what the rate allows", func() bool {
		n, _ := r.scheduler.Backlog("paced")
		return r.first().transactions()-tried == 3 && r.queued() == 1 && n == 1
	})
	r.clock.advance(time.Hour + time.Minute)
	r.gone()
}

func TestAttemptThatWasRefusedCountsAgainstTheRate(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.pace(map[string]config.Rate{"paced": {Messages: 1, Period: time.Hour}})
	r.first().answer = firstly(1, errGrey)
	r.run()
	r.submitAs("paced", "paced@example.com", "a@x.test")
	eventually(t, "the attempt", func() bool { return r.first().transactions() == 1 })
	r.rest()
	r.clock.advance(59 * time.Minute)
	if n := r.first().transactions(); n != 1 {
		t.Errorf("%d attempts within an hour", n)
	}
	r.clock.advance(2 * time.Minute)
	r.gone()
}

func TestPacedMessagesExpireWhileTheUpstreamIsDown(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.pace(map[string]config.Rate{"paced": {Messages: 1, Period: time.Hour}})
	r.first().answer = always(errDown)
	r.run()
	r.submitMany(20, "paced")
	r.rest()
	for range 5*24 + 1 {
		r.clock.advance(time.Hour)
		r.rest()
	}
	eventually(t, "all given up", func() bool {
		r.clock.advance(time.Minute)
		return r.counted("mailrelay_deliveries_total", "expired", "first") == 20
	})
}

func TestChangeOfRatesAppliesToWhatWaits(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.run()
	r.pace(map[string]config.Rate{"paced": {Messages: 3, Period: 24 * time.Hour}})
	r.submitMany(20, "paced")
	eventually(t, "three", func() bool { return r.first().transactions() == 3 })
	r.rest()
	r.pace(map[string]config.Rate{"paced": {Messages: 10, Period: time.Hour}})
	eventually(t, "ten more", func() bool { return r.first().transactions() == 13 })
	r.rest()
	// A user who is gone keeps the rate until the mail is gone.
	gone := *r.snapshot
	gone.Users = nil
	r.scheduler.Apply(&gone)
	r.rest()
	if n := r.first().transactions(); n != 13 {
		t.Errorf("%d transactions after the user was removed", n)
	}
	r.pace(nil)
	r.gone()
	if n := r.first().transactions(); n != 20 {
		t.Errorf("%d transactions for 20 messages", n)
	}
	r.pace(nil)
	if n := len(r.scheduler.lanes); n != 0 {
		t.Errorf("%d lanes without mail or rate", n)
	}
}

func TestPacingSurvivesUpstreamsThatComeAndGo(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.pace(map[string]config.Rate{"paced": {Messages: 2, Period: time.Minute}})
	with, without := r.snapshot, *r.snapshot
	without.Upstreams = nil
	r.scheduler.Apply(&without)
	r.run()
	r.submitMany(5, "paced")
	for range 3 {
		r.scheduler.Apply(with)
		r.scheduler.Apply(&without)
		r.rest()
	}
	r.scheduler.Apply(with)
	eventually(t, "two", func() bool { return r.first().transactions() >= 2 })
	r.rest()
	if n := r.first().transactions(); n != 2 {
		t.Errorf("%d messages in the first minute", n)
	}
	for range 3 {
		r.clock.advance(62 * time.Second)
		r.rest()
	}
	r.gone()
}

func TestPacedMailSurvivesARestart(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.pace(map[string]config.Rate{"paced": {Messages: 2, Period: time.Minute}})
	r.run()
	r.submitMany(6, "paced")
	eventually(t, "two", func() bool { return r.first().transactions() == 2 })
	r.rest()
	r.halt()
	r.restart()
	r.run()
	for range 3 {
		r.rest()
		r.clock.advance(62 * time.Second)
	}
	r.gone()
	var all []string
	for n := range 6 {
		all = append(all, r.first().recipients(n+1)...)
	}
	slices.Sort(all)
	if len(slices.Compact(all)) != 6 || r.first().transactions() != 6 {
		t.Errorf("delivered to %q", all)
	}
}

func TestDeferredMailDoesNotStarveNewMailOfTheSameUser(t *testing.T) {
	t.Parallel()
	const deferred = 5
	r := newTestRelay(t, func(c *config.Config) { c.Queue.RetryMax = time.Minute })
	r.pace(map[string]config.Rate{"paced": {Messages: 1, Period: time.Minute}})
	r.first().answer = func(_ int, recipient string) *Error {
		if recipient != "new@x.test" {
			return errGrey
		}
		return nil
	}
	r.submitMany(deferred, "paced")
	r.run()
	for range 4 * deferred {
		r.rest()
		r.clock.advance(30 * time.Second)
	}
	id := r.submitAs("paced", "paced@example.com", "new@x.test")
	for range 4 * deferred {
		r.rest()
		if _, waits := r.entries()[id]; !waits {
			return
		}
		r.clock.advance(30 * time.Second)
	}
	t.Errorf("a new message waits after %d minutes, behind %d that are deferred", 2*deferred, deferred)
}
