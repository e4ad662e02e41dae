package delivery

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

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
	r.rest()
	r.clock.advance(unreachable.longest)
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
	for range 24 {
		r.clock.advance(time.Hour)
		r.rest()
	}
	if r.queued() != 1 || len(r.entries()) != 1 {
		t.Fatal("the message is forgotten")
	}
	if n := strings.Count(r.logs.String(), "cannot record the outcome"); n != 1 {
		t.Errorf("%d log lines, want one for the whole day", n)
	}
	r.store.set(nil, nil, nil)
	r.clock.advance(unwritable.longest)
	r.gone()
	if n := r.first().transactions(); n != 1 {
		t.Errorf("delivered %d times", n)
	}
	if !strings.Contains(r.logs.String(), "recorded after all") {
		t.Error("the log does not say that the outcome is recorded")
	}
}

func TestBounceLeavesAQueueWhoseDiskIsLow(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().answer = func(_ int, recipient string) *Error {
		if recipient == "never@x.test" {
			return errUnknown
		}
		return nil
	}
	for range 20 {
		r.submit("app@example.com", "never@x.test")
	}
	r.disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: lowSpace - 1, TotalBytes: 1 << 30})
	r.clock.advance(time.Minute)
	if _, err := r.store.Create(t.Context()); !errors.Is(err, spool.ErrLowSpace) {
		t.Fatalf("create: %v, the test needs a disk that is low", err)
	}
	r.run()
	r.gone()
	if n := len(r.first().bounces()); n != 20 || strings.Contains(r.logs.String(), "ERROR") {
		t.Errorf("%d bounces\n%s", n, r.logs)
	}
}

func TestDeliveriesAreRecordedWhileTheBounceCannotBeWritten(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.store.set(errors.New("disk full"), nil, nil)
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
	r.clock.advance(unwritable.initial)
	r.gone()
	if n := r.first().transactions(); n != 2 || len(r.first().bounces()) != 1 {
		t.Errorf("%d transactions, %d bounces", n, len(r.first().bounces()))
	}
}

func TestSenderIsToldAlsoWhenTheHeaderCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(string) (io.ReadCloser, error){
		"opened": func(string) (io.ReadCloser, error) { return nil, errors.New("EIO") },
		"read":   func(string) (io.ReadCloser, error) { return io.NopCloser(failingReader{errors.New("EIO")}), nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestRelay(t)
			r.submit("app@example.com", "never@x.test")
			r.clock.advance(6 * 24 * time.Hour)
			r.store.open = func(id string) (io.ReadCloser, error) {
				if r.envelope(id).ReversePath == "" {
					return r.store.Spool.Open(id)
				}
				return open(id)
			}
			r.first().answer = func(_ int, recipient string) *Error {
				if recipient == "never@x.test" {
					return errBusy
				}
				return nil
			}
			r.run()
			r.rest()
			r.clock.advance(unreachable.longest)
			r.gone()
			if bounces := r.first().bounces(); len(bounces) != 1 || strings.Contains(bounces[0], "Subject: hi") {
				t.Errorf("bounces %q", bounces)
			}
			if !strings.Contains(r.logs.String(), "without the header") {
				t.Error("the log does not say why the bounce has no header")
			}
		})
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
	r.clock.advance(unwritable.initial)
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
	if e := r.envelope(id); e.Recipients[0].Upstream != "first" || e.Recipients[0].Outcome != spool.Pending {
		t.Errorf("a message that may have arrived must stay with its upstream: %+v", e)
	}
}

// submitDamaged submits a message whose content is a file, and damages that.
func (r *testRelay) submitDamaged(to ...string) string {
	r.Helper()
	draft, err := r.store.Spool.Create(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	if _, err := io.WriteString(draft, strings.Repeat(greeting, 20_000)); err != nil {
		r.Fatal(err)
	}
	e := &spool.Envelope{Accepted: r.clock.Now(), User: "app", ReversePath: "app@example.com", MessageID: "<1@app.test>"}
	for _, address := range to {
		e.Recipients = append(e.Recipients, spool.Recipient{Address: address})
	}
	if err := draft.Commit(r.Context(), e); err != nil {
		r.Fatal(err)
	}
	file, err := r.disk.OpenReadWrite("spool/bodies/"+draft.ID(), vfs.WriteCategoryUnspecified)
	if err != nil {
		r.Fatal(err)
	}
	if _, err := file.WriteAt([]byte("Z"), 5); err != nil {
		r.Fatal(err)
	}
	return draft.ID()
}

func TestSenderOfADamagedMessageIsTold(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t, func(c *config.Config) { c.Logging.Recipients = config.RecipientsDomain })
	id := r.submitDamaged("a@x.test", "b@x.test")
	r.run()
	r.gone()
	bounces := r.first().bounces()
	if r.first().transactions() != 1 || len(bounces) != 1 || !strings.Contains(bounces[0], "554 5.3.0 the message was damaged") ||
		!strings.Contains(bounces[0], "a@x.test") || !strings.Contains(bounces[0], "b@x.test") {
		t.Errorf("%d transactions, bounces %q", r.first().transactions(), bounces)
	}
	if q := r.scheduler.Queue(); q.Messages != 0 || q.Quarantined != 1 || r.counted("mailrelay_quarantined_messages") != 1 {
		t.Errorf("queue %+v", q)
	}
	if _, err := r.disk.Stat("spool/quarantine/" + id); err != nil {
		t.Errorf("the remains are not kept: %v", err)
	}
	lines := r.lines()
	if len(lines) == 0 || lines[0]["queue_id"] != id || lines[0]["sender"] != "app@example.com" || lines[0]["result"] != "bounced" {
		t.Errorf("log lines %v", lines)
	}
	if !strings.Contains(r.logs.String(), "with checksum") {
		t.Error("the log does not say what is wrong with the content")
	}
	if strings.Contains(r.logs.String(), "b@x.test") {
		t.Error("a recipient is in the log")
	}
}

func TestNoticeOfDamageSurvivesARestart(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	id := r.submitDamaged("a@x.test")
	full := errors.New("disk full")
	r.store.set(full, full, nil)
	r.run()
	eventually(t, "the attempt", func() bool { return strings.Contains(r.logs.String(), "cannot record") })
	r.halt()
	if e := r.envelope(id); e.Done() {
		t.Fatal("the outcome is recorded without its bounce")
	}
	r.store.set(nil, full, nil)
	r.restart()
	r.run()
	eventually(t, "the bounce", func() bool { return len(r.first().bounces()) == 1 && r.queued() == 1 })
	r.halt()
	r.store.set(nil, nil, nil)
	r.restart()
	r.run()
	r.gone()
	if q := r.scheduler.Queue(); q.Quarantined != 1 || len(r.first().bounces()) != 1 {
		t.Errorf("queue %+v, %d bounces", q, len(r.first().bounces()))
	}
}

func TestBounceAndItsMessageAreLinkedInTheLog(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().answer = firstly(1, errUnknown)
	r.run()
	id := r.submit("app@example.com", "never@x.test")
	r.gone()
	bounce := regexp.MustCompile(`"msg":"a notification was queued","queue_id":"` + id + `".*"notification_id":"([0-9a-z]+)"`).FindStringSubmatch(r.logs.String())
	if bounce == nil || !strings.Contains(r.logs.String(), `"msg":"delivery","queue_id":"`+bounce[1]) {
		t.Errorf("no line has both ids\n%s", r.logs)
	}
}

func TestFailureThatNobodyCanBeToldOfIsLogged(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().answer = always(errUnknown)
	r.run()
	id := r.submit("", "never@x.test")
	r.gone()
	if logs := r.logs.String(); !strings.Contains(logs, "nobody to tell") || !strings.Contains(logs, id) {
		t.Error(logs)
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
