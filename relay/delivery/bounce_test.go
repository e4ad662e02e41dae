package delivery

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

func TestSenderIsToldOfAFailureOnlyAsAskedFor(t *testing.T) {
	t.Parallel()
	for notify, told := range map[spool.Notify]bool{
		"": true, "FAILURE": true, "SUCCESS,FAILURE,DELAY": true, "NEVER": false, "SUCCESS": false, "DELAY": false,
	} {
		t.Run(string("NOTIFY="+notify), func(t *testing.T) {
			t.Parallel()
			r := newTestRelay(t, func(c *config.Config) { c.Queue.Postmaster = "postmaster@example.com" })
			r.first().answer = only(errUnknown)
			r.run()
			id := r.submitWith(func(e *spool.Envelope) { e.Recipients[0].Notify = notify })
			r.gone()
			if got := len(r.first().bounces()) == 1; got != told || r.first().transactions() > 2 {
				t.Errorf("told %v, %d transactions", got, r.first().transactions())
			}
			dead := r.deadLetters()["a@x.test"]
			if dead == nil || dead.ID != id || dead.Recipients[0].Reply != "550 5.1.1 no such user" || dead.Recipients[0].OutcomeTime.IsZero() {
				t.Fatalf("dead letter %+v", dead)
			}
			content, err := r.store.OpenDeadLetter(id)
			if err != nil {
				t.Fatal(err)
			}
			defer content.Close()
			if body, _ := io.ReadAll(content); string(body) != greeting {
				t.Errorf("content %q", body)
			}
			if !told && !strings.Contains(r.logs.String(), "asked not to be told") {
				t.Error("the log does not say why nobody is told")
			}
			if q := r.scheduler.Queue(); q.Messages != 0 || q.DeadLetters != 1 || r.counted("mailrelay_dead_letters") != 1 || r.counted("mailrelay_dead_letter_bytes") == 0 {
				t.Errorf("queue %+v", q)
			}
		})
	}
}

func TestFailureTellsOnlyOfThoseWhoMayBeToldOf(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().answer = func(_ int, recipient string) *Error {
		if recipient == "app@example.com" {
			return nil
		}
		return errUnknown
	}
	r.run()
	r.submitWith(func(e *spool.Envelope) {
		e.Recipients = []spool.Recipient{{Address: "a@x.test"}, {Address: "secret@x.test", Notify: spool.NotifyNever}}
	})
	r.gone()
	bounces := r.first().bounces()
	if len(bounces) != 1 || !strings.Contains(bounces[0], "a@x.test") || strings.Contains(bounces[0], "secret@x.test") {
		t.Errorf("bounces %q", bounces)
	}
	if dead := r.deadLetters(); dead["a@x.test"] == nil || dead["secret@x.test"] == nil {
		t.Errorf("dead letters %v", dead)
	}
}

func TestSuccessIsToldWhereTheUpstreamDoesNot(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		tells  bool
		notify spool.Notify
		sender string
		want   bool
	}{
		"asked for, and the upstream does not tell": {false, "SUCCESS,FAILURE", "app@example.com", true},
		"asked for, and the upstream tells":         {true, "SUCCESS", "app@example.com", false},
		"not asked for":                             {false, "FAILURE", "app@example.com", false},
		"nothing said":                              {false, "", "app@example.com", false},
		"nothing wanted":                            {false, "NEVER", "app@example.com", false},
		"from the null sender":                      {false, "SUCCESS", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestRelay(t, func(c *config.Config) { c.Queue.Postmaster = "postmaster@example.com" })
			r.first().tells = test.tells
			r.run()
			r.submitWith(func(e *spool.Envelope) {
				e.ReversePath, e.Recipients[0].Notify, e.Return = test.sender, test.notify, spool.ReturnFull
			})
			r.gone()
			bounces := r.first().bounces()
			if (len(bounces) == 1) != test.want {
				t.Fatalf("%d notifications", len(bounces))
			}
			if !test.want {
				return
			}
			if !strings.Contains(bounces[0], "Action: relayed") || !strings.Contains(bounces[0], "Status: 2.0.0") || strings.Contains(bounces[0], "hello") {
				t.Errorf("notification %s", bounces[0])
			}
			if len(r.deadLetters()) != 0 || r.counted("mailrelay_notifications_total", kindRelayed) != 1 {
				t.Error("a success is a dead letter, or not counted")
			}
		})
	}
}

func TestOneNotificationTellsOfSuccessAndFailure(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().answer = only(errUnknown)
	r.run()
	r.submitWith(func(e *spool.Envelope) {
		e.EnvelopeID = "QQ1"
		e.Recipients = append(e.Recipients, spool.Recipient{Address: "b@x.test", Notify: spool.NotifySuccess, OriginalRecipient: "rfc822;B@x.test"})
	})
	r.gone()
	bounces := r.first().bounces()
	if len(bounces) != 1 {
		t.Fatalf("%d notifications", len(bounces))
	}
	for _, want := range []string{"Action: relayed", "Action: failed", "Original-Envelope-Id: QQ1", "Original-Recipient: rfc822; B@x.test", "Remote-MTA: dns; first.test"} {
		if !strings.Contains(bounces[0], want) {
			t.Errorf("%q is missing in %s", want, bounces[0])
		}
	}
}

func TestSuccessIsToldAlsoWhenItCannotBeWrittenAtOnce(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.store.set(errors.New("disk full"), nil, nil)
	r.run()
	id := r.submitWith(func(e *spool.Envelope) { e.Recipients[0].Notify = spool.NotifySuccess })
	eventually(t, "the delivery is recorded", func() bool { return r.envelope(id).Done() })
	r.rest()
	r.store.set(nil, nil, nil)
	r.clock.advance(unwritable.initial)
	r.gone()
	if n := r.first().transactions(); n != 2 || len(r.first().bounces()) != 1 {
		t.Errorf("%d transactions, %d notifications", n, len(r.first().bounces()))
	}
}

func TestWholeMessageIsReturnedWhenAskedFor(t *testing.T) {
	t.Parallel()
	signed := "Content-Type: multipart/signed; boundary=x\r\n\r\n--x\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n--x--\r\n"
	for name, test := range map[string]struct {
		content  string
		change   func(*spool.Envelope)
		contains string
		whole    bool
		eightBit bool
	}{
		"when asked for":            {greeting, func(e *spool.Envelope) { e.Return = spool.ReturnFull }, "message/rfc822\r\n", true, false},
		"the header when asked for": {greeting, func(e *spool.Envelope) { e.Return = spool.ReturnHeaders }, "text/rfc822-headers\r\n", false, false},
		"the header when not":       {greeting, func(*spool.Envelope) {}, "text/rfc822-headers\r\n", false, false},
		"in 8 bits": {"Subject: hi\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello Grüße\r\n", func(e *spool.Envelope) {
			e.Return, e.EightBit = spool.ReturnFull, true
		}, "message/rfc822\r\n", true, true},
		"the header of what could not be sent to every upstream": {signed, func(e *spool.Envelope) {
			e.Return, e.EightBit = spool.ReturnFull, true
		}, "text/rfc822-headers\r\n", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestRelay(t)
			r.first().answer = only(errUnknown)
			r.store.open = func(id string) (io.ReadCloser, error) {
				if r.envelope(id).User == "" {
					return r.store.Spool.Open(id)
				}
				return newSource(test.content), nil
			}
			r.run()
			r.submitWith(test.change)
			r.gone()
			bounces := r.first().bounces()
			if len(bounces) != 1 || !strings.Contains(bounces[0], test.contains) || strings.Contains(bounces[0], test.content) != test.whole {
				t.Fatalf("bounces %q", bounces)
			}
			r.first().mu.Lock()
			defer r.first().mu.Unlock()
			if m := r.first().messages[1]; m.eightBit != test.eightBit || m.longLines {
				t.Errorf("the bounce goes out with 8BITMIME %v, long lines %v", m.eightBit, m.longLines)
			}
		})
	}
}

// Ways in which upstreams refuse the null sender.
var refusalsOfNull = map[string]*Error{
	"at MAIL":                    {Class: ClassSender, Step: StepMAIL, Code: 550, Enhanced: "5.7.60", Text: "SendAsDenied", replied: true},
	"at MAIL, to be tried again": {Class: ClassSender, Step: StepMAIL, Code: 550, Enhanced: "5.1.8", Text: "not verified", Temporary: true, replied: true},
	"at RCPT":                    {Class: ClassRecipient, Step: StepRCPT, Code: 550, Enhanced: "5.7.1", Text: "null sender not allowed", replied: true},
	"at the end of data":         {Class: ClassSender, Step: StepEndOfData, Code: 554, Text: "Message rejected: Email address is not verified", Temporary: true, replied: true},
	"at the end of data, as M365": {
		Class: ClassSender, Step: StepEndOfData, Code: 554, Enhanced: "5.2.252", Text: "SendAsDenied", replied: true,
	},
}

// answerBySender lets a test upstream choose by the reverse-path.
func (r *testRelay) answerBySender(f func(sender, recipient string) *Error) {
	u := r.first()
	u.answer = func(n int, recipient string) *Error {
		u.mu.Lock()
		defer u.mu.Unlock()
		return f(u.messages[n-1].reversePath, recipient)
	}
}

func TestBounceGoesToThePostmasterWhereTheNullSenderIsRefused(t *testing.T) {
	t.Parallel()
	for name, refusal := range refusalsOfNull {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestRelay(t, func(c *config.Config) {
				c.Queue.Postmaster, c.Queue.BounceSender = "postmaster@example.com", "bounces@example.com"
			})
			r.answerBySender(func(sender, recipient string) *Error {
				switch {
				case sender == "":
					return refusal
				case recipient == "a@x.test":
					return errUnknown
				}
				return nil
			})
			r.run()
			r.submit("app@example.com", "a@x.test")
			r.gone()
			if got := r.first().senders(); !slices.Equal(got, []string{"app@example.com", "", "bounces@example.com"}) {
				t.Fatalf("senders %q", got)
			}
			if got := r.first().recipients(3); !slices.Equal(got, []string{"postmaster@example.com"}) {
				t.Errorf("to %q", got)
			}
			last := r.first().bounces()[1]
			for _, want := range []string{
				"From: Mail Delivery System <bounces@example.com>", "To: <postmaster@example.com>", "Auto-Submitted: auto-replied",
				"message/rfc822", "Final-Recipient: rfc822; a@x.test", "550 5.1.1 no such user", refusal.Text,
			} {
				if !strings.Contains(last, want) {
					t.Errorf("%q is missing in\n%s", want, last)
				}
			}
			if dead := r.deadLetters(); len(dead) != 2 || dead["a@x.test"] == nil || dead["app@example.com"] == nil {
				t.Errorf("dead letters %v, want the message and its bounce", dead)
			}
		})
	}
}

func TestRefusedBounceEndsAsADeadLetter(t *testing.T) {
	t.Parallel()
	const postmaster = "postmaster@example.com"
	unknown := func(string, string) *Error { return errUnknown }
	noNull := func(sender, recipient string) *Error {
		if sender == "" || recipient == "a@x.test" {
			return refusalsOfNull["at MAIL"]
		}
		return errUnknown
	}
	for name, test := range map[string]struct {
		postmaster, sender string
		answer             func(sender, recipient string) *Error
		senders            []string
		dead               []string
	}{
		"without a postmaster": {"", "app@example.com", noNull, []string{"app@example.com", ""}, []string{"a@x.test", "app@example.com"}},
		"which is refused as well": {postmaster, "app@example.com", noNull,
			[]string{"app@example.com", "", postmaster}, []string{"a@x.test", "app@example.com", postmaster}},
		"when nobody is known": {postmaster, "app@example.com", unknown,
			[]string{"app@example.com", "", ""}, []string{"a@x.test", "app@example.com", postmaster}},
		"when the postmaster's own mail failed": {postmaster, postmaster, noNull,
			[]string{postmaster, "", postmaster}, []string{"a@x.test", postmaster}},
		"when it was a message from the null sender": {postmaster, "", noNull,
			[]string{"", postmaster}, []string{"a@x.test", postmaster}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestRelay(t, func(c *config.Config) {
				c.Queue.Postmaster, c.Queue.BounceSender, c.Queue.DelayNotice = test.postmaster, test.postmaster, time.Hour
			})
			r.answerBySender(test.answer)
			r.run()
			r.submit(test.sender, "a@x.test")
			r.gone()
			r.pass(6*24*time.Hour, 12*time.Hour)
			if got := r.first().senders(); !slices.Equal(got, test.senders) {
				t.Errorf("senders %q", got)
			}
			dead := r.deadLetters()
			for _, recipient := range test.dead {
				if dead[recipient] == nil {
					t.Errorf("no dead letter for %s", recipient)
				}
			}
			if len(dead) != len(test.dead) {
				t.Errorf("dead letters %v", dead)
			}
			if !strings.Contains(r.logs.String(), "nobody to tell") {
				t.Error("the log does not say that it ends here")
			}
		})
	}
}

func TestExpiredMessageIsADeadLetterToo(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t, func(c *config.Config) { c.Queue.Lifetime = time.Hour })
	r.first().answer = only(errDown)
	r.run()
	r.submitWith(func(e *spool.Envelope) { e.Recipients[0].Notify = spool.NotifyNever })
	r.pass(3*time.Hour, time.Minute)
	r.gone()
	if dead := r.deadLetters()["a@x.test"]; dead == nil || dead.Recipients[0].Outcome != spool.Expired || !strings.Contains(dead.Recipients[0].Reply, "unexpected EOF") {
		t.Errorf("dead letter %+v", dead)
	}
}

// TestDeadLetterIsNotLostBeforeTheMessageIsRemoved stops between the two.
func TestDeadLetterIsNotLostBeforeTheMessageIsRemoved(t *testing.T) {
	t.Parallel()
	for name, notify := range map[string]spool.Notify{"with a bounce": "", "without": spool.NotifyNever} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestRelay(t)
			r.first().answer = only(errUnknown)
			r.store.set(nil, nil, errors.New("read-only"))
			r.run()
			r.submitWith(func(e *spool.Envelope) { e.Recipients[0].Notify = notify })
			eventually(t, "the dead letter", func() bool { return len(r.deadLetters()) == 1 })
			r.rest()
			r.halt()
			r.store.set(nil, nil, nil)
			r.restart()
			r.run()
			r.gone()
			want := 0
			if notify == "" {
				want = 1
			}
			if n := len(r.notices()); n != want || len(r.deadLetters()) != 1 || r.store.Stats().DeadLetters != 1 {
				t.Errorf("%d bounces, dead letters %v", n, r.deadLetters())
			}
		})
	}
}
