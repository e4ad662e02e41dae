package delivery

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

const testDelay = 4 * time.Hour

func withDelay(c *config.Config) { c.Queue.DelayNotice = testDelay }

func TestSenderIsToldOnceOfADelay(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t, withDelay)
	r.first().answer = only(errGrey)
	r.run()
	began := r.clock.Now()
	id := r.submit("app@example.com", "a@x.test", "b@x.test")
	r.pass(testDelay-time.Minute, 10*time.Minute)
	if n := r.notices(); len(n) != 0 {
		t.Fatalf("told too early: %s", n)
	}
	r.pass(2*time.Minute, time.Minute)
	notices := r.notices()
	if len(notices) != 1 {
		t.Fatalf("%d notices", len(notices))
	}
	for _, want := range []string{
		"To: <app@example.com>", "Auto-Submitted: auto-replied", "Action: delayed", "Final-Recipient: rfc822; a@x.test", "Status: 4.2.0",
		"Will-Retry-Until: " + began.Add(5*24*time.Hour).Format(time.RFC1123Z), "greylisted", "Subject: hi",
	} {
		if !strings.Contains(notices[0], want) {
			t.Errorf("%q is missing in\n%s", want, notices[0])
		}
	}
	if strings.Contains(notices[0], "b@x.test") {
		t.Error("it tells of who got the message")
	}
	if e := r.envelope(id); !e.DelayNotice.Equal(began.Add(testDelay)) || e.Recipients[1].Outcome != spool.Delivered {
		t.Errorf("envelope %+v", e)
	}
	r.pass(24*time.Hour, time.Hour)
	if n := r.counted("mailrelay_deliveries_total", "delivered", "first"); n != 2 {
		t.Errorf("%v deliveries, want that to b and that of the notice", n)
	}
	if n := r.counted("mailrelay_notifications_total", kindDelay); n != 1 {
		t.Errorf("%v notices counted", n)
	}
	r.halt()
	r.restart()
	r.run()
	r.pass(24*time.Hour, time.Hour)
	if n := len(r.notices()); n != 1 {
		t.Errorf("told %d times", n)
	}
}

func TestDelayIsToldWhateverTheMessageWaitsFor(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer *Error
		change func(*config.Snapshot)
		reason string
	}{
		"an upstream that is down":         {errDown, func(*config.Snapshot) {}, "unexpected EOF"},
		"a login that is refused":          {errLogin, func(*config.Snapshot) {}, "535 5.7.8 no"},
		"an upstream at all":               {nil, func(s *config.Snapshot) { s.Upstreams = nil }, ""},
		"its turn, while others are tried": {errBusy, func(s *config.Snapshot) { s.Upstreams[0].Limits.Connections = 1 }, "451 4.3.0 not now"},
		"the user's rate": {nil, func(s *config.Snapshot) {
			s.Users = map[string]config.User{"app": {Name: "app", Rates: []config.Rate{{Messages: 1, Period: 48 * time.Hour}}}}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestRelay(t, withDelay)
			if test.answer != nil {
				r.first().answer = always(test.answer)
			}
			test.change(r.snapshot)
			r.scheduler.Apply(r.snapshot)
			r.run()
			ids := []string{r.submit("app@example.com", "a@x.test"), r.submit("app@example.com", "b@x.test")}
			r.pass(testDelay+time.Minute, 10*time.Minute)
			want := 0
			for _, id := range ids {
				if e, err := r.store.Envelope(id); err == nil {
					want++
					if e.DelayNotice.IsZero() || e.Recipients[0].Outcome != spool.Pending {
						t.Errorf("envelope %+v", e)
					}
				}
			}
			notices := r.notices()
			if want == 0 || len(notices) != want {
				t.Fatalf("%d notices, %d messages wait", len(notices), want)
			}
			if !strings.Contains(notices[0], "Action: delayed") || !strings.Contains(notices[0], test.reason) {
				t.Errorf("notice %s", notices[0])
			}
		})
	}
}

func TestWhoIsToldOfADelay(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*spool.Envelope)
		want   int
	}{
		"who did not say":                 {func(*spool.Envelope) {}, 1},
		"who asked for it":                {func(e *spool.Envelope) { e.Recipients[0].Notify = "SUCCESS,DELAY" }, 1},
		"not who asked for something":     {func(e *spool.Envelope) { e.Recipients[0].Notify = spool.NotifyFailure }, 0},
		"not who asked for nothing":       {func(e *spool.Envelope) { e.Recipients[0].Notify = spool.NotifyNever }, 0},
		"not the null sender":             {func(e *spool.Envelope) { e.ReversePath = "" }, 0},
		"not who was told before":         {func(e *spool.Envelope) { e.DelayNotice = e.Accepted }, 0},
		"not of who has got the message":  {func(e *spool.Envelope) { e.Recipients[0].Outcome = spool.Delivered }, 0},
		"of some of several, in one time": {func(e *spool.Envelope) { e.Recipients = append(e.Recipients, e.Recipients[0]) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestRelay(t, withDelay, func(c *config.Config) { c.Queue.Postmaster = "postmaster@example.com" })
			r.first().answer = only(errGrey)
			r.run()
			r.submitWith(test.change)
			r.pass(12*time.Hour, time.Hour)
			if n := len(r.notices()); n != test.want {
				t.Errorf("%d notices", n)
			}
		})
	}
}

func TestDelayOfTheLifetimeOrMoreIsNotTold(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t, func(c *config.Config) { c.Queue.DelayNotice, c.Queue.Lifetime = testDelay, testDelay })
	r.first().answer = always(errLogin) // nothing expires meanwhile
	r.run()
	r.submit("app@example.com", "a@x.test")
	r.pass(24*time.Hour, time.Hour)
	if n := r.notices(); len(n) != 0 {
		t.Errorf("notices %s", n)
	}
	// A change of the configuration counts at once.
	later := *r.snapshot.Config
	later.Queue.Lifetime = 2 * testDelay
	r.snapshot.Config = &later
	r.scheduler.Apply(r.snapshot)
	r.rest()
	if n := r.notices(); len(n) != 1 {
		t.Errorf("%d notices", len(n))
	}
}

func TestNoticeAndItsMarkAreOneWrite(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t, withDelay)
	r.first().answer = always(errDown)
	r.store.failCreate(errors.New("EIO"))
	r.run()
	id := r.submit("app@example.com", "a@x.test")
	r.pass(testDelay+time.Minute, time.Hour)
	if e := r.envelope(id); !e.DelayNotice.IsZero() || len(r.notices()) != 0 {
		t.Fatal("told without a notice")
	}
	if !strings.Contains(r.logs.String(), "cannot tell a sender") {
		t.Error("the log does not say so")
	}
	r.store.failCreate(nil)
	r.pass(failurePause, time.Minute)
	if e := r.envelope(id); e.DelayNotice.IsZero() || len(r.notices()) != 1 {
		t.Errorf("%d notices, envelope %+v", len(r.notices()), e)
	}
}

func TestNoNoticesWhileTheDiskIsLow(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t, withDelay)
	r.first().answer = always(errDown)
	r.run()
	for range 20 {
		r.submit("app@example.com", "a@x.test")
	}
	r.disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: lowSpace - 1, TotalBytes: 1 << 30})
	r.pass(testDelay+time.Minute, time.Hour)
	if n := r.notices(); len(n) != 0 || strings.Contains(r.logs.String(), "cannot tell") {
		t.Errorf("%d notices", len(n))
	}
	r.disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 30, TotalBytes: 1 << 30})
	r.pass(failurePause, time.Minute)
	if n := r.notices(); len(n) != 20 {
		t.Errorf("%d notices once there is room", len(n))
	}
}

func TestNoticeWaitsForAnAttemptUnderWay(t *testing.T) {
	t.Parallel()
	for name, outcome := range map[string]*Error{"that delivers": nil, "that does not": errGrey} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestRelay(t, withDelay)
			block := make(chan struct{})
			r.first().block, r.first().answer = block, only(outcome)
			r.run()
			id := r.submit("app@example.com", "a@x.test")
			eventually(t, "the attempt", func() bool { return r.first().transactions() == 1 })
			r.clock.advance(testDelay + time.Second)
			eventually(t, "the notice waits", func() bool {
				r.scheduler.mu.Lock()
				defer r.scheduler.mu.Unlock()
				return len(r.scheduler.delays.busy) == 1
			})
			if e := r.envelope(id); !e.DelayNotice.IsZero() {
				t.Fatal("the envelope was written while an attempt had it")
			}
			close(block)
			if outcome == nil {
				r.gone()
				if n := r.notices(); len(n) != 0 {
					t.Errorf("the sender is told that a message is late which has arrived: %s", n)
				}
				return
			}
			eventually(t, "the notice", func() bool { return len(r.notices()) == 1 })
			if e := r.envelope(id); e.DelayNotice.IsZero() || e.Attempts != 1 {
				t.Errorf("envelope %+v", e)
			}
			r.rest()
			if n := len(r.scheduler.delays.busy); n != 0 {
				t.Errorf("%d notices still wait", n)
			}
		})
	}
}

func TestManyLateMessagesAreAllTold(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t, withDelay)
	r.first().answer = always(errDown)
	const messages = 5 * noticesAtOnce
	for range messages {
		r.submit("app@example.com", "a@x.test")
	}
	r.clock.advance(testDelay)
	r.run()
	eventually(t, "all notices", func() bool { return len(r.notices()) == messages })
	r.rest()
}

func TestWatchForgetsWhatHasGone(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t, withDelay)
	r.first().answer = func(_ int, recipient string) *Error {
		if recipient == "stuck@x.test" {
			return errGrey
		}
		return nil
	}
	r.run()
	r.submit("app@example.com", "stuck@x.test") // keeps those behind it from the top
	for i := range 3 * forgottenNotices {
		r.submit("app@example.com", fmt.Sprintf("r%d@x.test", i))
	}
	left := func() bool { return r.queued() == 1 && r.idle() }
	eventually(t, "one message is left", left)
	r.submit("app@example.com", "last@x.test") // which makes it look
	eventually(t, "one message is left", left)
	r.scheduler.mu.Lock()
	watched := r.scheduler.delays.watched.Len()
	r.scheduler.mu.Unlock()
	if watched > 2*forgottenNotices {
		t.Errorf("%d messages are watched", watched)
	}
	r.pass(testDelay+time.Hour, time.Hour)
	if n := r.notices(); len(n) != 1 || !strings.Contains(n[0], "stuck@x.test") {
		t.Errorf("notices %s", n)
	}
}

func TestNoticeTellsOfAllPartsOfAMessage(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t, withDelay)
	r.use(alike, config.Route{Recipients: []string{"b.test"}, Upstreams: []string{"second"}})
	r.first().answer, r.second().answer = always(errDown), always(errLogin)
	r.run()
	id := r.submit("app@example.com", "a@x.test", "b@b.test")
	r.pass(time.Hour, 10*time.Minute)
	// Other routes split it anew; it is still one message.
	r.use(alike, config.Route{Recipients: []string{"x.test"}, Upstreams: []string{"second"}})
	eventually(t, "the queue is read anew", func() bool { return len(r.entries()) == 1 })
	r.pass(testDelay, 10*time.Minute)
	notices := r.notices()
	if len(notices) != 1 || r.envelope(id).DelayNotice.IsZero() {
		t.Fatalf("%d notices", len(notices))
	}
	for _, want := range []string{"a@x.test", "b@b.test", "535 5.7.8 no", "unexpected EOF"} {
		if !strings.Contains(notices[0], want) {
			t.Errorf("%q is missing in\n%s", want, notices[0])
		}
	}
	if strings.Contains(notices[0], "Remote-MTA") {
		t.Error("it names one server for what several said")
	}
	// Once they work, all parts arrive: nothing waits for the notice any more.
	r.first().answer, r.second().answer = nil, nil
	r.pass(time.Hour, 10*time.Minute)
	r.gone()
}
