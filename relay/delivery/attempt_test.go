package delivery

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

func TestRecipientsEndOneByOne(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().answer = func(n int, recipient string) *Error {
		switch {
		case strings.HasPrefix(recipient, "never"):
			return errUnknown
		case strings.HasPrefix(recipient, "later") && n == 1:
			return errGrey
		}
		return nil
	}
	r.run()
	id := r.submit("app@example.com", "now@x.test", "later@x.test", "never@x.test")
	eventually(t, "message and bounce", func() bool { return r.first().transactions() == 2 })
	r.rest()
	e := r.envelope(id)
	var outcomes []spool.Outcome
	for _, recipient := range e.Recipients {
		outcomes = append(outcomes, recipient.Outcome)
	}
	if want := []spool.Outcome{spool.Delivered, spool.Pending, spool.Bounced}; !slices.Equal(outcomes, want) {
		t.Fatalf("outcomes %q, want %q", outcomes, want)
	}
	if got := r.first().recipients(2); !slices.Equal(got, []string{"app@example.com"}) {
		t.Errorf("bounce to %q", got)
	}
	bounce := r.first().bounces()[0]
	if !strings.Contains(bounce, "never@x.test") || !strings.Contains(bounce, "5.1.1") || strings.Contains(bounce, "later@x.test") {
		t.Errorf("bounce\n%s", bounce)
	}
	r.clock.advance(time.Minute)
	r.gone()
	if got := r.first().recipients(3); !slices.Equal(got, []string{"later@x.test"}) || len(r.first().bounces()) != 1 {
		t.Errorf("second attempt for %q, %d bounces", got, len(r.first().bounces()))
	}
}

func TestBounceComesFromTheNullReversePath(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().answer = firstly(1, errUnknown)
	r.run()
	r.submit("app@example.com", "never@x.test")
	r.gone()
	r.first().mu.Lock()
	defer r.first().mu.Unlock()
	if m := r.first().messages[1]; m.reversePath != "" || m.size != int64(len(r.first().bodies[1])) {
		t.Errorf("bounce from %q with size %d", m.reversePath, m.size)
	}
	if !strings.Contains(r.first().bodies[1], "Subject: hi") {
		t.Error("the bounce does not show the header of the message")
	}
}

func TestWhoIsToldOfAMessageWithoutSender(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, postmaster, recipient string
		want                        []string
	}{
		{"nobody when no postmaster is set", "", "never@x.test", nil},
		{"the postmaster", "postmaster@example.com", "never@x.test", []string{"postmaster@example.com"}},
		{"nobody when the postmaster cannot be reached", "postmaster@example.com", "postmaster@example.com", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newTestRelay(t, func(c *config.Config) { c.Queue.Postmaster = test.postmaster })
			r.first().answer = func(_ int, recipient string) *Error {
				if recipient == test.recipient {
					return errUnknown
				}
				return nil
			}
			r.run()
			r.submit("", test.recipient)
			r.gone()
			var told []string
			if r.first().transactions() > 1 {
				told = r.first().recipients(2)
			}
			if !slices.Equal(told, test.want) {
				t.Errorf("told %q, want %q", told, test.want)
			}
			if n := r.counted("mailrelay_deliveries_total", "bounced", "first"); n != 1 {
				t.Errorf("%v bounces counted", n)
			}
		})
	}
}

func TestBounceThatCannotBeDeliveredEnds(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t, func(c *config.Config) { c.Queue.Postmaster = "postmaster@example.com" })
	r.first().answer = always(errUnknown)
	r.run()
	r.submit("app@example.com", "never@x.test")
	r.gone()
	if n := r.first().transactions(); n != 3 {
		t.Errorf("%d transactions, want message, bounce and the postmaster's", n)
	}
}

func TestMessageExpires(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault *Error
		reply string
	}{
		{"while it is deferred", errBusy, "451 4.3.0 not now"},
		{"while the upstream is down", errDown, "unexpected EOF"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newTestRelay(t, func(c *config.Config) { c.Queue.Lifetime = time.Hour })
			r.first().answer = func(_ int, recipient string) *Error {
				if recipient == "a@x.test" {
					return test.fault
				}
				return nil
			}
			r.run()
			for range 20 {
				r.submit("", "a@x.test")
			}
			for range 45 {
				r.clock.advance(2 * time.Minute)
				r.rest()
			}
			r.gone()
			if n := r.counted("mailrelay_deliveries_total", "expired", "first"); n != 20 {
				t.Errorf("%v messages expired", n)
			}
			if !strings.Contains(r.logs.String(), `"result":"expired"`) || !strings.Contains(r.logs.String(), test.reply) {
				t.Error("the log does not say why")
			}
		})
	}
}

func TestExpiredMessageIsBounced(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t, func(c *config.Config) { c.Queue.Lifetime = time.Minute })
	r.first().answer = func(_ int, recipient string) *Error {
		if recipient == "a@x.test" {
			return errBusy
		}
		return nil
	}
	r.run()
	r.submit("app@example.com", "a@x.test")
	r.rest()
	r.clock.advance(time.Minute)
	r.gone()
	if bounces := r.first().bounces(); len(bounces) != 1 || !strings.Contains(bounces[0], "not now") {
		t.Errorf("bounces %q", bounces)
	}
}

func TestNothingExpiresWhileTheLoginIsRefused(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t, func(c *config.Config) { c.Queue.Lifetime = time.Minute })
	r.first().answer = firstly(5, errLogin)
	r.run()
	r.submit("app@example.com", "a@x.test")
	r.rest()
	for range 6 {
		r.clock.advance(15 * time.Minute)
		r.rest()
	}
	r.gone()
	if n := r.counted("mailrelay_deliveries_total", "delivered", "first"); n != 1 {
		t.Errorf("%v delivered", n)
	}
}

func TestRecipientsAreSplitByTheLimit(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.run()
	var to []string
	for i := range 250 {
		to = append(to, fmt.Sprintf("r%d@x.test", i))
	}
	r.submit("app@example.com", to...)
	r.gone()
	if n := r.first().transactions(); n != 3 {
		t.Fatalf("%d transactions", n)
	}
	if n := len(r.first().recipients(3)); n != 50 {
		t.Errorf("%d recipients in the last one", n)
	}
}

func TestTooManyRecipientsGoOnAtOnce(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().answer = func(n int, recipient string) *Error {
		if allowed := map[int]string{1: "a@x.test", 2: "b@x.test", 3: "c@x.test"}; allowed[n] != recipient {
			return errTooMany
		}
		return nil
	}
	r.run()
	r.submit("app@example.com", "a@x.test", "b@x.test", "c@x.test")
	r.gone()
	if n := r.first().transactions(); n != 3 {
		t.Errorf("%d transactions", n)
	}
}

func TestUpstreamThatTakesNoRecipientAtAllIsTriedLater(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().answer = always(errTooMany)
	r.run()
	id := r.submit("app@example.com", "a@x.test")
	eventually(t, "the attempt", func() bool { return r.first().transactions() == 1 })
	r.rest()
	if e := r.envelope(id); e.Attempts != 1 || r.first().transactions() != 1 {
		t.Errorf("%+v after %d transactions", e, r.first().transactions())
	}
}

func TestOutcomeThatCannotBeRecordedIsNotForgottenNorRepeated(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.store.set(nil, errors.New("read-only"), errors.New("read-only"))
	r.run()
	r.submit("app@example.com", "a@x.test")
	eventually(t, "the attempt", func() bool { return r.first().transactions() == 1 })
	r.rest()
	r.clock.advance(recordAgain)
	r.rest()
	if r.queued() != 1 || len(r.entries()) != 1 {
		t.Fatal("the message is forgotten")
	}
	r.store.set(nil, nil, nil)
	r.clock.advance(recordAgain)
	r.gone()
	if n := r.first().transactions(); n != 1 {
		t.Errorf("delivered %d times", n)
	}
}

func TestBounceWaitsForSpaceWhileDeliveriesAreRecorded(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.store.set(spool.ErrLowSpace, nil, nil)
	r.first().answer = func(_ int, recipient string) *Error {
		if recipient == "never@x.test" {
			return errUnknown
		}
		return nil
	}
	r.run()
	id := r.submit("app@example.com", "a@x.test", "never@x.test")
	eventually(t, "the part of the outcome that can be written", func() bool {
		return r.envelope(id).Recipients[0].Outcome == spool.Delivered
	})
	r.rest()
	if e := r.envelope(id); e.Recipients[1].Outcome != spool.Pending {
		t.Fatal("bounced without a bounce")
	}
	r.store.set(nil, nil, nil)
	r.clock.advance(recordAgain)
	r.gone()
	if n := r.first().transactions(); n != 2 || len(r.first().bounces()) != 1 {
		t.Errorf("%d transactions, %d bounces", n, len(r.first().bounces()))
	}
}

func TestBounceIsNotRepeatedWhenTheMessageCannotBeRemoved(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.store.set(nil, nil, errors.New("read-only"))
	r.first().answer = firstly(1, errUnknown)
	r.run()
	r.submit("app@example.com", "never@x.test")
	eventually(t, "the bounce", func() bool { return r.first().transactions() == 2 })
	r.rest()
	r.store.set(nil, nil, nil)
	r.clock.advance(recordAgain)
	r.gone()
	if n := len(r.first().bounces()); n != 1 {
		t.Errorf("%d bounces", n)
	}
}

func TestStopLetsAttemptsEnd(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().block = make(chan struct{})
	r.run()
	r.submit("app@example.com", "a@x.test")
	r.submit("app@example.com", "b@x.test")
	eventually(t, "the attempts", func() bool { return r.first().transactions() == 2 })
	r.stop()
	eventually(t, "the stop", func() bool {
		r.scheduler.mu.Lock()
		defer r.scheduler.mu.Unlock()
		return !r.scheduler.running
	})
	r.submit("app@example.com", "c@x.test")
	close(r.first().block)
	r.halt()
	if n := r.first().transactions(); n != 2 || r.queued() != 1 {
		t.Errorf("%d transactions, %d queued", n, r.queued())
	}
}

func TestStopEndsAttemptsThatTakeTooLong(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().block = make(chan struct{})
	r.run()
	id := r.submit("app@example.com", "a@x.test")
	eventually(t, "the attempt", func() bool { return r.first().transactions() == 1 })
	r.stop()
	eventually(t, "the end", func() bool {
		r.clock.advance(time.Second)
		select {
		case err := <-r.stopped:
			r.stopped <- err
			return true
		default:
			return false
		}
	})
	if e := r.envelope(id); e.Upstream != "first" || e.Recipients[0].Outcome != spool.Pending {
		t.Errorf("a message that may have arrived must stay with its upstream: %+v", e)
	}
}

func TestDamagedMessageIsLeftToTheAdministrator(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().answer = always(localFailure(fmt.Errorf("open: %w", spool.ErrDamaged)))
	r.run()
	r.submit("app@example.com", "a@x.test")
	eventually(t, "the message forgotten", func() bool { return len(r.entries()) == 0 })
	if r.first().transactions() != 1 || len(r.first().bounces()) != 0 {
		t.Error("the message was tried again or bounced")
	}
}

func TestRemovedMessageIsForgotten(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().answer = firstly(1, errBusy)
	r.run()
	id := r.submit("app@example.com", "a@x.test")
	eventually(t, "the attempt", func() bool { return r.first().transactions() == 1 })
	r.rest()
	if err := r.store.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	r.clock.advance(time.Minute)
	r.gone()
	if n := r.first().transactions(); n != 1 {
		t.Errorf("%d transactions", n)
	}
}
