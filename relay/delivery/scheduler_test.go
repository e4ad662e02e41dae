package delivery

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

func TestDeliveredMessageLeavesTheQueue(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.run()
	r.submit("app@example.com", "a@x.test", "b@x.test")
	r.gone()
	if got := r.first().recipients(1); !slices.Equal(got, []string{"a@x.test", "b@x.test"}) {
		t.Errorf("recipients %q", got)
	}
	if n := r.counted("mailrelay_deliveries_total", "delivered", "first"); n != 2 {
		t.Errorf("%v deliveries counted", n)
	}
	report := r.scheduler.Reports()[0]
	if report.Name != "first" || !report.LastSuccess.Equal(r.clock.Now()) || report.LastError != "" {
		t.Errorf("report %+v", report)
	}
}

func TestQueueOfAnEarlierRunIsDeliveredOnce(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	for range 50 {
		r.submit("app@example.com", "a@x.test")
	}
	// A new scheduler knows the messages only from the spool, and some of them twice.
	r.restart()
	r.submit("app@example.com", "a@x.test")
	r.run()
	r.gone()
	if n := r.first().transactions(); n != 51 {
		t.Errorf("%d transactions for 51 messages", n)
	}
}

func TestDeferredMessageIsTriedAgainLaterAndLater(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().answer = firstly(7, errBusy)
	r.run()
	id := r.submit("app@example.com", "a@x.test")
	for n, minutes := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		eventually(t, "the attempt", func() bool { return r.first().transactions() == n+1 })
		r.rest()
		e := r.envelope(id)
		if e.Attempts != n+1 || !e.NextAttempt.Equal(r.clock.Now().Add(minutes*time.Minute)) {
			t.Fatalf("after attempt %d: %d attempts, next in %s", n+1, e.Attempts, e.NextAttempt.Sub(r.clock.Now()))
		}
		if reply := e.Recipients[0].Reply; reply != "451 4.3.0 not now" {
			t.Fatalf("reply %q", reply)
		}
		r.clock.advance(minutes*time.Minute - time.Second)
		if r.first().transactions() != n+1 {
			t.Fatal("tried too early")
		}
		r.clock.advance(time.Second)
	}
	r.gone()
	if n := r.counted("mailrelay_deliveries_total", "deferred", "first"); n != 7 {
		t.Errorf("%v deferrals counted", n)
	}
	if n := r.counted("mailrelay_upstream_errors_total", "throttle", "first"); n != 7 {
		t.Errorf("%v errors counted", n)
	}
}

func TestRestartKeepsTheTimeOfTheNextAttempt(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().answer = firstly(1, errBusy)
	r.run()
	r.submit("app@example.com", "a@x.test")
	eventually(t, "the attempt", func() bool { return r.first().transactions() == 1 })
	r.rest()
	r.halt()
	r.restart()
	r.run()
	r.rest()
	r.clock.advance(59 * time.Second)
	if r.first().transactions() != 1 {
		t.Fatal("tried too early")
	}
	r.clock.advance(time.Second)
	r.gone()
}

func TestUpstreamThatIsDownHoldsItsMailWithoutDelayingIt(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	var down atomic.Bool
	down.Store(true)
	r.first().answer = func(int, string) *Error {
		if down.Load() {
			return errDown
		}
		return nil
	}
	r.run()
	var ids []string
	for range 100 {
		ids = append(ids, r.submit("app@example.com", "a@x.test"))
	}
	r.rest()
	for range 6 * 60 * 2 {
		r.clock.advance(30 * time.Second)
		r.rest()
	}
	probes := r.first().transactions()
	if probes > 6*60*2+10 {
		t.Errorf("%d attempts in six hours: not one every 30 s", probes)
	}
	for _, id := range ids {
		if e := r.envelope(id); e.Attempts != 0 || !e.NextAttempt.IsZero() {
			t.Fatalf("the message was delayed: %+v", e)
		}
	}
	report := r.scheduler.Reports()[0]
	if report.LastErrorClass != "connect" || report.LastError == "" || report.LastErrorTime.IsZero() {
		t.Errorf("report %+v", report)
	}
	down.Store(false)
	r.clock.advance(30 * time.Second)
	r.gone()
	if n := r.first().transactions() - probes; n != 100 {
		t.Errorf("%d transactions for 100 messages after the upstream was back", n)
	}
}

func TestOneLoginAtATimeFindsOutWhetherAnUpstreamWorks(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().answer = always(errLogin)
	r.run()
	for range 50 {
		r.submit("app@example.com", "a@x.test")
	}
	r.rest()
	logins := 1
	for _, minutes := range []time.Duration{1, 2, 4, 8, 15, 15} {
		if n := r.first().transactions(); n != logins {
			t.Fatalf("%d logins, want %d", n, logins)
		}
		r.clock.advance(minutes*time.Minute - time.Second)
		r.rest()
		if n := r.first().transactions(); n != logins {
			t.Fatalf("login %d came too early", n)
		}
		r.clock.advance(time.Second)
		logins++
		eventually(t, "the login", func() bool { return r.first().transactions() == logins })
		r.rest()
	}
}

func TestUpstreamThatAsksForLessGetsAPause(t *testing.T) {
	t.Parallel()
	for name, throttle := range map[string]*Error{
		"421":   {Class: ClassThrottle, Step: StepMAIL, Code: 421, Enhanced: "4.7.0", Text: "try later", Temporary: true},
		"451":   errBusy,
		"454":   {Class: ClassThrottle, Step: StepMAIL, Code: 454, Text: "Maximum sending rate exceeded", Temporary: true},
		"550":   {Class: ClassThrottle, Step: StepMAIL, Code: 550, Enhanced: "5.4.5", Text: "Daily limit", Temporary: true},
		"SES":   {Class: ClassThrottle, Step: StepEndOfData, Code: 454, Text: "Throttling failure: Maximum sending rate exceeded.", Temporary: true},
		"later": {Class: ClassThrottle, Step: StepEndOfData, Code: 421, Text: "bye", Temporary: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestRelay(t)
			var over atomic.Bool
			r.first().answer = func(int, string) *Error {
				if over.Load() {
					return nil
				}
				return throttle
			}
			for range 300 {
				r.submit("app@example.com", "a@x.test")
			}
			r.run()
			r.rest()
			if n := r.first().transactions(); n < 1 || n > 1+8 {
				t.Errorf("%d attempts at once", n)
			}
			for range 60 {
				r.clock.advance(time.Second)
				r.rest()
			}
			// At once and after 1, 3, 7, 15 and 31 seconds. An accepted MAIL starts anew.
			if n := r.first().transactions(); n != 6 && throttle.Step == StepMAIL {
				t.Errorf("%d attempts in a minute", n)
			}
			over.Store(true)
			r.clock.advance(30 * time.Minute)
			r.gone()
		})
	}
}

func TestSenderOrRecipientThatIsThrottledHoldsNothingElseBack(t *testing.T) {
	t.Parallel()
	for name, throttle := range map[string]*Error{
		"sender":    {Class: ClassThrottle, Step: StepMAIL, Code: 450, Enhanced: "4.7.1", Text: "too much from you", Temporary: true},
		"recipient": {Class: ClassThrottle, Step: StepRCPT, Code: 450, Enhanced: "4.7.1", Text: "too much for them", Temporary: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestRelay(t)
			r.first().answer = func(_ int, recipient string) *Error {
				if recipient == "a@x.test" {
					return throttle
				}
				return nil
			}
			for range 50 {
				r.submit("app@example.com", "a@x.test")
			}
			for range 50 {
				r.submit("app@example.com", "b@x.test")
			}
			r.run()
			eventually(t, "the mail of others", func() bool { return r.queued() == 50 })
		})
	}
}

func TestNewCredentialsAreTriedAtOnce(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().answer = firstly(1, errLogin)
	r.run()
	r.submit("app@example.com", "a@x.test")
	eventually(t, "the refused login", func() bool { return r.first().transactions() == 1 })
	r.rest()
	changed := *r.snapshot
	u := r.upstream("first")
	u.Password = "new"
	changed.Upstreams = []config.ResolvedUpstream{u}
	r.scheduler.Apply(&changed)
	r.gone()
}

func TestSameConfigurationChangesNothing(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().answer = firstly(1, errLogin)
	r.run()
	r.submit("app@example.com", "a@x.test")
	eventually(t, "the refused login", func() bool { return r.first().transactions() == 1 })
	r.rest()
	closed := r.first().closedTimes()
	r.scheduler.Apply(r.snapshot)
	r.rest()
	if r.first().transactions() != 1 || r.first().closedTimes() != closed {
		t.Error("a reload that changed nothing opened the breaker or closed connections")
	}
}

func TestAttemptsAtOnceAreLimited(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().block = make(chan struct{})
	r.run()
	for range 40 {
		r.submit("app@example.com", "a@x.test")
	}
	eventually(t, "eight attempts", func() bool { return r.first().transactions() == 8 })
	close(r.first().block)
	r.gone()
	if r.first().peak != 8 {
		t.Errorf("%d attempts at once, want 8", r.first().peak)
	}
}

func TestMailOfAnUpstreamThatWasRemovedGoesToTheFirst(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().answer = always(errDown)
	r.run()
	for range 10 {
		r.submit("app@example.com", "a@x.test")
	}
	r.rest()
	none := *r.snapshot
	none.Upstreams = nil
	r.scheduler.Apply(&none)
	other := *r.snapshot
	other.Upstreams = []config.ResolvedUpstream{r.upstream("second")}
	r.scheduler.Apply(&other)
	r.gone()
	if n := r.upstreams["second"].transactions(); n != 10 {
		t.Errorf("%d transactions", n)
	}
	eventually(t, "connections closed", func() bool { return r.upstreams["first"].closedTimes() > 0 })
}

func TestMessageThatMayHaveArrivedStaysWithItsUpstream(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().answer = firstly(1, lost(StepEndOfData, fmt.Errorf("cut")))
	r.run()
	id := r.submit("app@example.com", "a@x.test")
	eventually(t, "the attempt", func() bool { return r.first().transactions() == 1 })
	r.rest()
	if e := r.envelope(id); e.Recipients[0].Upstream != "first" || e.Attempts != 1 || e.Recipients[0].Outcome != spool.Pending {
		t.Fatalf("envelope %+v", e)
	}
	both := *r.snapshot
	both.Upstreams = []config.ResolvedUpstream{r.upstream("second"), r.upstream("first")}
	r.scheduler.Apply(&both)
	r.clock.advance(time.Minute)
	r.gone()
	if n := r.upstreams["second"].transactions(); n != 0 {
		t.Error("the message went to another upstream")
	}
}

func TestQueueReport(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.submit("app@example.com", "a@x.test")
	oldest := r.clock.Now()
	r.clock.advance(time.Minute)
	r.submit("app@example.com", "a@x.test")
	if q := r.scheduler.Queue(); q.Messages != 2 || !q.Oldest.Equal(oldest) {
		t.Errorf("queue %+v", q)
	}
	if n, age := r.counted("mailrelay_queue_messages"), r.counted("mailrelay_queue_oldest_seconds"); n != 2 || age != 60 {
		t.Errorf("%v messages, oldest %v s", n, age)
	}
}

// A login that works is no delivery, and neither is a message that is put off.
func TestLastDeliveryIsThatOfAMessage(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().answer = firstly(1, errBusy)
	r.run()
	r.submit("app@example.com", "a@x.test")
	eventually(t, "the attempt", func() bool { return r.first().transactions() == 1 })
	r.rest()
	if q := r.scheduler.Queue(); !q.LastDelivery.IsZero() {
		t.Errorf("a message that was put off counts as delivered at %s", q.LastDelivery)
	}
	r.clock.advance(time.Hour)
	r.gone()
	delivered := r.clock.Now()
	r.clock.advance(time.Hour)
	if q := r.scheduler.Queue(); !q.LastDelivery.Equal(delivered) {
		t.Errorf("last delivery at %s, want %s", q.LastDelivery, delivered)
	}
}

func BenchmarkEnqueue(b *testing.B) {
	r := New(Options{Snapshot: &config.Snapshot{Config: &config.Config{}}, Logger: quietLogger()})
	now := time.Now()
	b.ReportAllocs()
	for i := range b.N {
		r.Enqueue(&spool.Envelope{ID: fmt.Sprintf("%020d", i), Accepted: now, NextAttempt: now.Add(time.Duration(i) + time.Hour)})
	}
}
