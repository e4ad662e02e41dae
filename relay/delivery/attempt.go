package delivery

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/message/dkim"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

const (
	// readAgain is the pause after the spool could not be read.
	readAgain = time.Minute
)

// attempt is one try at delivering a message, from reading its envelope to recording what
// became of its recipients.
type attempt struct {
	scheduler  *Scheduler
	entry      *entry
	upstream   *upstream
	config     config.ResolvedUpstream
	transport  transport
	settings   settings
	generation int
	started    time.Time
	// giveUp means that nothing is sent: the upstream is held because of fault, and the
	// message's lifetime is over.
	giveUp bool

	envelope *spool.Envelope
	// fault is an error that concerns the upstream. The attempt does not count then.
	fault *Error
	// errors are all that happened, each once, and causes those of each recipient.
	errors []*Error
	causes map[int]*Error
	// judged are the indices of recipients that something was learnt about, and failed those
	// of them that the sender has to be told of.
	judged, failed []int
	// unrecorded counts how often in a row the spool did not take the outcome.
	unrecorded int
	// told means that the bounce is durable, and with it the envelope.
	told bool
	// interrupted means that the relay is stopping.
	interrupted bool
}

// disposition is what the scheduler has to do with a message after an attempt.
type disposition struct {
	// done means that the message is no longer in the queue.
	done bool
	// unrecorded means that the spool did not take the outcome.
	unrecorded bool
	// due is when to try again; zero means as soon as the upstream can be used.
	due    time.Time
	pinned string
}

func (a *attempt) run(ctx context.Context) disposition {
	envelope, err := a.scheduler.options.Spool.Envelope(a.entry.id)
	if errors.Is(err, spool.ErrNotFound) {
		return disposition{done: true}
	}
	if err != nil {
		return a.unreadable(err)
	}
	a.envelope = envelope
	if !a.giveUp {
		a.deliver(ctx)
	}
	if a.removed() {
		return disposition{done: true}
	}
	a.conclude()
	next := a.record(ctx)
	a.log(next)
	a.count()
	return next
}

// unreadable postpones a message that the spool cannot show just now.
func (a *attempt) unreadable(err error) disposition {
	due := a.started.Add(readAgain)
	a.scheduler.options.Logger.Error("cannot read a message from the spool", "queue_id", a.entry.id, "error", err, "next_attempt", due)
	return disposition{due: due, pinned: a.entry.pinned}
}

// removed reports whether the message was not in the queue any more when its content was
// opened.
func (a *attempt) removed() bool {
	return slices.ContainsFunc(a.errors, func(e *Error) bool { return errors.Is(e.Err, spool.ErrNotFound) })
}

// keyMissing reports whether the message waits for a DKIM key.
func (a *attempt) keyMissing() bool {
	return slices.ContainsFunc(a.errors, func(e *Error) bool { return errors.Is(e.Err, dkim.ErrNoKey) })
}

// deliver sends the message to the recipients that are pending, as many in one transaction
// as the upstream's limits allow.
func (a *attempt) deliver(ctx context.Context) {
	var pending []int
	for i, r := range a.envelope.Recipients {
		if r.Outcome == spool.Pending {
			pending = append(pending, i)
		}
	}
	for len(pending) > 0 {
		batch := pending[:min(len(pending), a.config.Limits.RecipientsPerMessage)]
		verdicts := a.transport.deliver(ctx, a.message(batch), a.welcomed)
		if ctx.Err() != nil {
			a.interrupted = true
		}
		again, goOn := a.judge(batch, verdicts)
		if !goOn {
			return
		}
		pending = append(again, pending[len(batch):]...)
	}
}

func (a *attempt) welcomed() { a.scheduler.welcomed(a.upstream, a.generation) }

// message is the message for some of its recipients.
func (a *attempt) message(batch []int) message {
	e := a.envelope
	m := message{
		reversePath: e.ReversePath,
		size:        e.Size,
		eightBit:    e.EightBit,
		smtpUTF8:    e.SMTPUTF8,
		longLines:   e.LongLines,
		keys:        a.settings.dkim,
		unsigned:    a.config.UnsignedHeaders,
		open:        func() (io.ReadCloser, error) { return a.scheduler.options.Spool.Open(e.ID) },
	}
	for _, i := range batch {
		m.recipients = append(m.recipients, e.Recipients[i].Address)
	}
	return m
}

// judge notes the verdicts of one transaction. It returns the recipients that were only too
// many for it, and whether another transaction makes sense now.
func (a *attempt) judge(batch []int, verdicts []verdict) (again []int, goOn bool) {
	progress, goOn := false, true
	for _, v := range verdicts {
		progress = progress || v.err == nil
	}
	for n, i := range batch {
		e := verdicts[n].err
		a.note(i, e)
		switch {
		case e == nil:
			a.settle(i, spool.Delivered, verdicts[n].reply)
		case tooMany(e) && progress:
			again = append(again, i)
		case e.concernsUpstream():
			a.fault = e
			goOn = false
		default:
			goOn = goOn && a.refused(i, e)
		}
	}
	return again, goOn
}

// note remembers why a recipient failed.
func (a *attempt) note(i int, e *Error) {
	if e == nil {
		delete(a.causes, i)
		return
	}
	if a.causes == nil {
		a.causes = make(map[int]*Error)
	}
	a.causes[i] = e
	if !slices.Contains(a.errors, e) {
		a.errors = append(a.errors, e)
	}
}

// tooMany reports whether a recipient may be refused only since others came before it
// (RFC 5321 §4.5.3.1.10, RFC 3463 X.5.3).
func tooMany(e *Error) bool {
	if e == nil || e.Step != StepRCPT {
		return false
	}
	return e.Code == 452 || e.Code == 552 || strings.HasSuffix(e.Enhanced, ".5.3")
}

// refused notes a recipient's error. It reports whether the upstream can be expected to go
// on with other recipients.
func (a *attempt) refused(i int, e *Error) bool {
	if !e.Temporary {
		a.noteDamage(e)
		a.settle(i, spool.Bounced, e.Reply())
		return true
	}
	if e.uncertain() {
		a.envelope.Upstream = a.config.Name
	} else if a.interrupted && e.Code == 0 {
		return false
	}
	a.envelope.Recipients[i].Reply = e.Reply()
	a.judged = append(a.judged, i)
	return e.Class == ClassRecipient
}

// noteDamage makes a message whose content is damaged end in quarantine.
func (a *attempt) noteDamage(e *Error) {
	if a.envelope.Damaged || !errors.Is(e.Err, spool.ErrDamaged) {
		return
	}
	a.envelope.Damaged = true
	a.scheduler.options.Logger.Error("a message is damaged on disk: it bounces, and its remains go into the quarantine of the spool",
		"queue_id", a.envelope.ID, "error", e.Err)
}

// settle gives a recipient its outcome.
func (a *attempt) settle(i int, outcome spool.Outcome, reply string) {
	r := &a.envelope.Recipients[i]
	r.Outcome, r.OutcomeTime = outcome, a.scheduler.options.Clock.Now()
	if reply != "" {
		r.Reply = reply
	}
	if !slices.Contains(a.judged, i) {
		a.judged = append(a.judged, i)
	}
	if outcome != spool.Delivered {
		a.failed = append(a.failed, i)
	}
}

// delivered reports whether the upstream took the message for anyone.
func (a *attempt) delivered() bool {
	for _, i := range a.judged {
		if a.envelope.Recipients[i].Outcome == spool.Delivered {
			return true
		}
	}
	return false
}

// conclude decides on the recipients that are still pending: they get another attempt, or
// their time is over. Neither happens because of refused credentials, which only an
// administrator can mend, nor because the relay stops.
func (a *attempt) conclude() {
	e := a.envelope
	if e.Done() || a.interrupted && len(a.judged) == 0 {
		return
	}
	now := a.scheduler.options.Clock.Now()
	byLogin := a.fault != nil && a.fault.Class == ClassAuthentication
	if !byLogin && now.Sub(e.Accepted) >= a.settings.queue.Lifetime {
		a.expire()
		return
	}
	if a.fault != nil {
		return
	}
	e.Attempts++
	pause := backoff{a.settings.queue.RetryInitial, a.settings.queue.RetryMax}.after(e.Attempts)
	e.NextAttempt = now.Add(spread(pause, a.scheduler.options.Rand()))
}

// expire gives up what is pending.
func (a *attempt) expire() {
	for i, r := range a.envelope.Recipients {
		if r.Outcome != spool.Pending {
			continue
		}
		reply := r.Reply
		if a.fault != nil {
			reply = a.fault.Reply()
		}
		a.settle(i, spool.Expired, reply)
	}
}
