package delivery

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// use gives the relay the upstreams "first" and "second", changed as said, and routes.
func (r *testRelay) use(change func(first, second *config.Upstream), routes ...config.Route) {
	first, second := r.upstream("first"), r.upstream("second")
	first.Weight, second.Weight = 1, 1
	change(&first.Upstream, &second.Upstream)
	changed, c := *r.snapshot, *r.snapshot.Config
	c.Routes = routes
	changed.Config, changed.Upstreams = &c, []config.ResolvedUpstream{second, first}
	r.snapshot = &changed
	r.scheduler.Apply(r.snapshot)
}

// backup makes the second upstream one that is used only while the first cannot be.
func backup(_, second *config.Upstream) { second.Order = 1 }

// alike leaves the upstreams as they are.
func alike(_, _ *config.Upstream) {}

func (r *testRelay) second() *testUpstream { return r.upstreams["second"] }

func TestMailFailsOverAtOnceAndComesBack(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]*Error{
		"cannot be reached": errDown,
		"no verified TLS":   noTLS(StepTLS, errors.New("unknown authority")),
		"login refused":     errLogin,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestRelay(t)
			r.use(backup)
			var down atomic.Bool
			down.Store(true)
			r.first().answer = func(int, string) *Error {
				if down.Load() {
					return fault
				}
				return nil
			}
			r.run()
			for range 20 {
				r.submit("app@example.com", "a@x.test")
			}
			// Without any time passing, and without a message being put off.
			r.gone()
			if n := r.second().transactions(); n != 20 {
				t.Fatalf("the second upstream got %d of 20 messages", n)
			}
			if n := r.first().transactions(); n != 1 {
				t.Errorf("the first was tried by %d messages, want one", n)
			}
			down.Store(false)
			r.clock.advance(time.Minute)
			for range 20 {
				r.submit("app@example.com", "a@x.test")
				r.gone()
			}
			if n := r.second().transactions(); n != 20 {
				t.Errorf("%d messages went past the first upstream after it was back", n-20)
			}
		})
	}
}

func TestFaultsOfMailDoNotFailOver(t *testing.T) {
	t.Parallel()
	for name, refused := range map[string]*Error{
		"throttled": errBusy, "recipient": errGrey, "refused for good": errUnknown,
		"connection lost in the content":     lost(StepContent, errors.New("cut")),
		"connection lost after end of data":  lost(StepEndOfData, errors.New("cut")),
		"sender that is not verified (held)": errSender,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestRelay(t, func(c *config.Config) { c.Queue.SenderHold = 24 * time.Hour })
			r.use(backup)
			r.first().answer = func(_ int, recipient string) *Error {
				if recipient == "a@x.test" {
					return refused
				}
				return nil
			}
			r.run()
			r.submit("app@example.com", "a@x.test")
			eventually(t, "the attempt", func() bool { return r.first().transactions() >= 1 })
			for range 10 {
				r.rest()
				r.clock.advance(time.Minute)
			}
			if n := r.second().transactions(); n != 0 {
				t.Errorf("the second upstream got %d messages", n)
			}
		})
	}
}

func TestUpstreamThatNeverComesBackDoesNotKeepAMessageForEver(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.use(backup)
	r.first().answer = func(n int, _ string) *Error {
		if n == 1 {
			return lost(StepEndOfData, errors.New("cut"))
		}
		return errDown
	}
	r.run()
	r.submit("app@example.com", "a@x.test")
	for range 59 {
		r.rest()
		r.clock.advance(time.Minute)
	}
	r.rest()
	if n := r.second().transactions(); n != 0 {
		t.Fatal("another upstream got the message within an hour")
	}
	r.clock.advance(2 * time.Minute)
	r.gone()
	if n := r.second().transactions(); n != 1 {
		t.Errorf("%d messages at the second upstream", n)
	}
}

func TestMailIsSharedByWeight(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	random := rand.New(rand.NewPCG(1, 2))
	r.scheduler.options.Rand = random.Float64
	r.use(func(first, _ *config.Upstream) { first.Weight = 3 })
	r.run()
	for range 400 {
		r.submit("app@example.com", "a@x.test")
		r.gone()
	}
	if n := r.first().transactions(); n < 260 || n > 340 {
		t.Errorf("the upstream of weight 3 got %d of 400 messages, the one of weight 1 %d", n, r.second().transactions())
	}
}

func TestLimitsOfABusyUpstreamDoNotSendItsMailToTheBackup(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.use(backup)
	r.first().block = make(chan struct{})
	r.run()
	for range 30 {
		r.submit("app@example.com", "a@x.test")
	}
	eventually(t, "eight attempts", func() bool { return r.first().transactions() == 8 })
	close(r.first().block)
	r.gone()
	if n := r.second().transactions(); n != 0 {
		t.Errorf("the backup got %d messages", n)
	}
}

func TestRoutesChooseTheUpstream(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.use(alike, config.Route{Senders: []string{"news.example.com"}, Upstreams: []string{"second"}})
	r.run()
	r.submit("app@example.com", "a@x.test")
	r.submit("digest@news.example.com", "b@x.test")
	r.gone()
	if got := r.first().recipients(1); r.first().transactions() != 1 || !slices.Equal(got, []string{"a@x.test"}) {
		t.Errorf("the first upstream got %q", got)
	}
	if got := r.second().recipients(1); r.second().transactions() != 1 || !slices.Equal(got, []string{"b@x.test"}) {
		t.Errorf("the second upstream got %q", got)
	}
}

func TestRecipientsOfOneMessageTakeTheirRoutesApart(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.use(alike, config.Route{Recipients: []string{"eu.test"}, Upstreams: []string{"second"}})
	r.second().answer = firstly(3, errDown)
	r.run()
	id := r.submit("app@example.com", "a@eu.test", "b@x.test", "c@eu.test", "d@x.test")
	eventually(t, "the part that can go", func() bool {
		e, err := r.store.Envelope(id)
		return err == nil && e.Recipients[1].Outcome == spool.Delivered && e.Recipients[3].Outcome == spool.Delivered
	})
	r.rest()
	if got := r.first().recipients(1); !slices.Equal(got, []string{"b@x.test", "d@x.test"}) {
		t.Errorf("the first upstream got %q", got)
	}
	if n, _ := r.scheduler.Backlog("app"); n != 1 {
		t.Errorf("%d messages are counted", n)
	}
	for range 3 {
		r.clock.advance(30 * time.Second)
		r.rest()
	}
	r.gone()
	if got := r.second().recipients(4); !slices.Equal(got, []string{"a@eu.test", "c@eu.test"}) || r.first().transactions() != 1 {
		t.Errorf("the second upstream got %q, the first %d messages", got, r.first().transactions())
	}
	if n, _ := r.scheduler.Backlog("app"); n != 0 || len(r.scheduler.lanes) != 0 {
		t.Errorf("%d messages are still counted", n)
	}
}

// Both parts fail again and again at different times: neither may overwrite what the other
// one brought.
func TestPartsOfAMessageKeepEachOthersOutcomes(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.use(alike, config.Route{Recipients: []string{"eu.test"}, Upstreams: []string{"second"}})
	var to []string
	for i := range 20 {
		to = append(to, fmt.Sprintf("r%d@eu.test", i), fmt.Sprintf("r%d@x.test", i))
	}
	var mu atomic.Int64
	answer := func(int, string) *Error {
		if mu.Add(1)%3 != 0 {
			return errGrey
		}
		return nil
	}
	r.first().answer, r.second().answer = answer, answer
	r.run()
	r.submit("app@example.com", to...)
	for range 200 {
		r.rest()
		if r.queued() == 0 {
			break
		}
		r.clock.advance(10 * time.Minute)
	}
	r.gone()
	if n := r.counted("mailrelay_deliveries_total", "delivered", "first") + r.counted("mailrelay_deliveries_total", "delivered", "second"); n != 40 {
		t.Errorf("%v deliveries to 40 recipients", n)
	}
}

func TestQueueFollowsAChangeOfRoutes(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.use(backup)
	r.first().answer, r.second().answer = always(errDown), always(errDown)
	r.run()
	for range 30 {
		r.submit("app@example.com", "a@eu.test", "b@x.test")
	}
	r.rest()
	r.first().block = make(chan struct{})
	r.first().mu.Lock()
	r.first().answer = nil
	r.first().mu.Unlock()
	r.clock.advance(30 * time.Second)
	before := r.first().transactions()
	eventually(t, "an attempt under way", func() bool { return r.first().transactions() >= before })
	r.second().mu.Lock()
	r.second().answer = nil
	r.second().mu.Unlock()
	r.use(alike, config.Route{Recipients: []string{"eu.test"}, Upstreams: []string{"second"}})
	close(r.first().block)
	for range 4 {
		r.clock.advance(30 * time.Second)
		r.rest()
	}
	r.gone()
	for n := range r.second().transactions() {
		got := r.second().recipients(n + 1)
		if n > before && slices.Contains(got, "b@x.test") {
			t.Errorf("the second upstream got %q after the change", got)
		}
	}
	if n, _ := r.scheduler.Backlog("app"); n != 0 || len(r.scheduler.lanes) != 0 {
		t.Errorf("%d messages are still counted", n)
	}
}

func TestMailOfAPacedUserGoesPastAnUpstreamThatIsDown(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.use(alike, config.Route{Recipients: []string{"eu.test"}, Upstreams: []string{"second"}})
	r.second().answer = always(errDown)
	r.pace(map[string]config.Rate{"paced": {Messages: 2, Period: time.Minute}})
	r.run()
	for range 5 {
		r.submitAs("paced", "paced@example.com", "a@eu.test")
	}
	r.rest()
	r.submitAs("paced", "paced@example.com", "b@x.test")
	eventually(t, "the message of the other route", func() bool { return r.first().transactions() == 1 })
}

func TestTimeWithoutALoginDoesNotCountTowardsTheLifetime(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t, func(c *config.Config) { c.Queue.Lifetime = time.Hour })
	var answer atomic.Pointer[Error]
	answer.Store(errLogin)
	r.first().answer = func(int, string) *Error { return answer.Load() }
	r.run()
	r.submit("", "a@x.test")
	for range 10 {
		r.rest()
		r.clock.advance(time.Hour)
	}
	r.rest()
	answer.Store(errDown)
	r.clock.advance(15 * time.Minute)
	for range 50 {
		r.rest()
		r.clock.advance(time.Minute)
	}
	r.rest()
	if r.queued() != 1 {
		t.Fatal("the message was given up although its upstream refused the login for most of its age")
	}
	for range 15 {
		r.clock.advance(time.Minute)
		r.rest()
	}
	r.gone()
	if n := r.counted("mailrelay_deliveries_total", "expired", "first"); n != 1 {
		t.Errorf("%v messages expired", n)
	}
}

// errSender is a refusal of the sender, as Amazon SES words it.
var errSender = &Error{Class: ClassSender, Step: StepEndOfData, Code: 554, Text: "Email address is not verified", Temporary: true, replied: true}

func TestMailOfASenderThatIsRefusedIsHeldForADay(t *testing.T) {
	t.Parallel()
	for name, verified := range map[string]bool{"verified in time": true, "never verified": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestRelay(t, func(c *config.Config) { c.Queue.SenderHold = 24 * time.Hour })
			var ok atomic.Bool
			r.first().answer = func(_ int, recipient string) *Error {
				if ok.Load() || recipient == "app@example.com" {
					return nil
				}
				return errSender
			}
			r.run()
			r.submit("app@example.com", "a@x.test")
			for range 23 * 2 {
				r.rest()
				r.clock.advance(30 * time.Minute)
			}
			r.rest()
			if r.queued() != 1 || len(r.first().bounces()) != 0 {
				t.Fatal("the message was bounced within a day")
			}
			told := r.scheduler.SendersRefused()
			if len(told) != 1 || told[0].User != "app" || told[0].Sender != "app@example.com" ||
				told[0].Upstream != "first" || told[0].Reply != "554 Email address is not verified" || r.clock.Now().Sub(told[0].Since) < 22*time.Hour {
				t.Errorf("senders refused: %+v", told)
			}
			ok.Store(verified)
			r.clock.advance(90 * time.Minute)
			r.gone()
			if n := len(r.first().bounces()); n != map[bool]int{true: 0, false: 1}[verified] {
				t.Errorf("%d bounces", n)
			}
			r.clock.advance(time.Hour)
			if told := r.scheduler.SendersRefused(); verified && len(told) != 0 {
				t.Errorf("senders refused after one was taken: %+v", told)
			}
			r.clock.advance(24 * time.Hour)
			if told := r.scheduler.SendersRefused(); len(told) != 0 {
				t.Errorf("senders refused a day later: %+v", told)
			}
		})
	}
}

func TestUpstreamGetsNoMoreThanItsRate(t *testing.T) {
	t.Parallel()
	const rate, messages = 14, 1000
	r := newTestRelay(t)
	r.use(func(first, second *config.Upstream) {
		first.Limits.Rates = []config.Rate{{Messages: rate, Period: time.Second}}
		second.Order = 1
	})
	r.run()
	for range messages {
		r.submit("app@example.com", "a@x.test")
	}
	var at []time.Time
	for start := r.clock.Now(); r.clock.Now().Sub(start) < 80*time.Second; r.clock.advance(10 * time.Millisecond) {
		r.rest()
		for len(at) < r.first().transactions() {
			at = append(at, r.clock.Now())
		}
	}
	if len(at) != messages || r.second().transactions() != 0 {
		t.Fatalf("%d messages delivered in 80 s at 14/s, %d by the backup", len(at), r.second().transactions())
	}
	for i := range at[:messages-10*rate] {
		if period := at[i+10*rate].Sub(at[i]); period < 10*time.Second {
			t.Fatalf("%d messages were sent in %s", 10*rate+1, period)
		}
	}
	for i := range at[:messages-3] {
		if at[i+3].Sub(at[i]) < 100*time.Millisecond {
			t.Fatalf("messages %d to %d were sent in %s", i, i+3, at[i+3].Sub(at[i]))
		}
	}
}

func TestRatesOverADayAreNotSpread(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.use(func(first, second *config.Upstream) {
		first.Limits.Rates = []config.Rate{{Messages: 100, Period: 24 * time.Hour}}
		second.Order = 1
	})
	r.run()
	for range 150 {
		r.submit("app@example.com", "a@x.test")
	}
	eventually(t, "a day's mail", func() bool { return r.first().transactions() == 100 })
	r.rest()
	r.clock.advance(23 * time.Hour)
	r.rest()
	if n := r.first().transactions(); n != 100 || r.second().transactions() != 0 {
		t.Errorf("%d messages in a day, %d by the backup", n, r.second().transactions())
	}
	r.clock.advance(2 * time.Hour)
	r.gone()
}

func TestAttemptsThatDoNotReachTheUpstreamDoNotUseUpItsRate(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.use(func(first, second *config.Upstream) {
		first.Limits.Rates = []config.Rate{{Recipients: 10, Period: time.Hour}}
		second.Order = 1
	})
	r.first().answer = firstly(8, errDown)
	r.second().answer = always(errDown)
	r.run()
	for range 10 {
		r.submit("app@example.com", "a@x.test")
	}
	for range 20 {
		r.rest()
		r.clock.advance(30 * time.Second)
	}
	r.gone()
}

func TestBacklogOfSixHoursLeavesAtTheUpstreamsLimits(t *testing.T) {
	t.Parallel()
	const rate, messages = 100, 10_000
	r := newTestRelay(t)
	r.use(func(first, second *config.Upstream) {
		first.Limits.Rates = []config.Rate{{Messages: rate, Period: time.Second}}
		second.Order = 1
	}, config.Route{Senders: []string{"other.example"}, Upstreams: []string{"second"}})
	var down atomic.Bool
	down.Store(true)
	r.first().answer = func(int, string) *Error {
		if down.Load() {
			return errDown
		}
		return nil
	}
	r.run()
	for range messages {
		r.submit("app@example.com", "a@x.test")
	}
	for range 6 * 60 {
		r.rest()
		r.clock.advance(time.Minute)
	}
	r.rest()
	tried := r.first().transactions()
	down.Store(false)
	back := r.clock.Now()
	for r.first().transactions() == tried {
		r.rest()
		r.clock.advance(time.Second)
	}
	r.rest()
	first := r.clock.Now()
	if first.Sub(back) > time.Minute {
		t.Errorf("the first message left %s after the upstream was back", first.Sub(back))
	}
	sent := []int{r.first().transactions() - tried}
	for r.queued() > 0 && len(sent) < 30 {
		for range 200 {
			r.clock.advance(50 * time.Millisecond)
			r.rest()
		}
		sent = append(sent, r.first().transactions()-tried)
	}
	for i := range sent[1:] {
		if n := sent[i+1] - sent[i]; n > 10*rate {
			t.Errorf("%d messages in ten seconds", n)
		}
	}
	if took := r.clock.Now().Sub(first); r.queued() > 0 || took > messages/rate*time.Second+20*time.Second {
		t.Errorf("%d are left after %s", r.queued(), took)
	}
}

func TestRoutesThatChangeWhileTheSpoolCannotBeReadLoseNothing(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.use(backup)
	r.first().answer, r.second().answer = firstly(1, errDown), firstly(1, errDown)
	r.run()
	for range 5 {
		r.submit("app@example.com", "a@eu.test")
	}
	r.rest()
	r.store.mu.Lock()
	r.store.each = errors.New("EIO")
	r.store.mu.Unlock()
	r.use(alike, config.Route{Recipients: []string{"eu.test"}, Upstreams: []string{"second"}})
	eventually(t, "the failure", func() bool { return strings.Contains(r.logs.String(), "cannot read the queue") })
	r.store.mu.Lock()
	r.store.each = nil
	r.store.mu.Unlock()
	for range 4 {
		r.clock.advance(readAgain)
		r.rest()
	}
	r.gone()
}

func TestDeliveryOverAConnectionInUseEndsAThrottle(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.run()
	r.submit("app@example.com", "a@x.test")
	r.gone()
	r.first().warm.Store(true)
	r.first().answer = func(n int, _ string) *Error {
		if n == 2 {
			return errBusy
		}
		return nil
	}
	r.submit("app@example.com", "b@x.test")
	eventually(t, "the refusal", func() bool { return r.first().transactions() == 2 })
	r.rest()
	r.clock.advance(time.Minute)
	r.gone()
	r.scheduler.mu.Lock()
	defer r.scheduler.mu.Unlock()
	if g := r.scheduler.upstreams[0].gate; g.fault != nil || g.failures != 0 {
		t.Errorf("after a delivery the gate still has the fault %v and %d failures", g.fault, g.failures)
	}
}

func TestSenderThatOneUpstreamTakesIsStillRefusedByAnother(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t, func(c *config.Config) { c.Queue.SenderHold = 24 * time.Hour })
	r.use(alike, config.Route{Recipients: []string{"eu.test"}, Upstreams: []string{"second"}})
	r.second().answer = always(errSender)
	r.run()
	r.submit("app@example.com", "a@eu.test")
	eventually(t, "the refusal", func() bool { return len(r.scheduler.SendersRefused()) == 1 })
	r.submit("app@example.com", "b@x.test")
	eventually(t, "the delivery", func() bool { return r.first().transactions() == 1 && r.idle() })
	if told := r.scheduler.SendersRefused(); len(told) != 1 || told[0].Upstream != "second" {
		t.Errorf("senders refused: %+v", told)
	}
}
