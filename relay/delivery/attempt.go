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
	scheduler *Scheduler
	entry     *entry
	// routes by which the entry has its recipients.
	routes     routes
	upstream   *upstream
	config     config.ResolvedUpstream
	transport  transport
	settings   settings
	generation int
	started    time.Time
	// giveUp means that nothing is sent: the upstream is held because of fault, and the
	// message's lifetime is over.
	giveUp bool
	// suspended is how much of the message's age does not count towards its lifetime.
	suspended time.Duration

	envelope *spool.Envelope
	// fault is an error that concerns the upstream. The attempt does not count then.
	fault *Error
	// errors are all that happened, each once, and causes those of each recipient.
	errors []*Error
	causes map[int]*Error
	// judged are the indices of recipients that something was learnt about, failed those of them
	// that were given up, and relayed those delivered whose sender has to be told of that.
	judged, failed, relayed []int
	// unrecorded counts how often in a row the spool did not take the outcome.
	unrecorded int
	// saved means that the envelope is durable, and with it what somebody is told.
	saved bool
	// passed means that the next attempt has this one's place.
	passed bool
	// interrupted means that the relay is stopping.
	interrupted bool
}

// disposition is what the scheduler has to do with a message after an attempt.
type disposition struct {
	// done means that the message is no longer in the queue.
	done bool
	// unrecorded means that the spool did not take the outcome.
	unrecorded bool
	// due is when to try again; zero means as soon as an upstream can be used.
	due time.Time
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
	a.scheduler.passOn(a)
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
	return disposition{due: due}
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
	left := a.pending()
	for len(left) > 0 {
		batch := left[:min(len(left), a.config.Limits.RecipientsPerMessage)]
		verdicts := a.transport.deliver(ctx, a.message(batch), a.welcomed)
		if ctx.Err() != nil {
			a.interrupted = true
		}
		again, goOn := a.judge(batch, verdicts)
		if !goOn {
			return
		}
		left = append(again, left[len(batch):]...)
	}
}

// pending are the indices of the recipients that the attempt is about.
func (a *attempt) pending() []int { return pending(a.envelope, a.routes, a.entry.route) }

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
		dsn:         request(e, batch),
		open:        func() (io.ReadCloser, error) { return a.scheduler.options.Spool.Open(e.ID) },
	}
	for _, i := range batch {
		m.recipients = append(m.recipients, e.Recipients[i].Address)
	}
	return m
}

// judge notes the verdicts of one transaction. It returns the recipients that were only too
// many for it, and whether another transaction makes sense now. A transport that leaves out
// some as surplus has tried at least one.
func (a *attempt) judge(batch []int, verdicts []verdict) (again []int, goOn bool) {
	progress, goOn := false, true
	for _, v := range verdicts {
		progress = progress || v.err == nil
	}
	for n, i := range batch {
		e := verdicts[n].err
		if e == errSurplus {
			again = append(again, i)
			continue
		}
		a.note(i, e)
		switch {
		case e == nil:
			a.settle(i, spool.Delivered, verdicts[n].reply)
			a.noteRelayed(i, verdicts[n].tells)
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

// pinTime is how long no other upstream gets a message that one may have taken.
const pinTime = time.Hour

// refused notes a recipient's error. It reports whether the upstream can be expected to go
// on with other recipients.
func (a *attempt) refused(i int, e *Error) bool {
	r := &a.envelope.Recipients[i]
	if a.interrupted && e.Code == 0 && !e.uncertain() {
		return false
	}
	r.Upstream, r.UpstreamUntil = "", time.Time{}
	if a.final(e) {
		a.noteDamage(e)
		a.settle(i, spool.Bounced, e.Reply())
		return true
	}
	if e.uncertain() {
		r.Upstream, r.UpstreamUntil = a.config.Name, a.scheduler.options.Clock.Now().Add(pinTime)
	}
	r.Reply = e.Reply()
	a.judged = append(a.judged, i)
	return e.Class == ClassRecipient
}

// final reports whether no further attempt makes sense. A sender that the upstream does not
// take may be one that is not verified yet: its mail is held for a while. Nobody can have the
// null sender verified.
func (a *attempt) final(e *Error) bool {
	if e.Class != ClassSender || !e.replied || e.Code/100 != 5 {
		return !e.Temporary
	}
	return a.envelope.ReversePath == "" || a.scheduler.options.Clock.Now().Sub(a.envelope.Accepted) >= a.settings.queue.SenderHold
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
	r.Upstream, r.UpstreamUntil = "", time.Time{}
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

// noteRelayed makes the sender hear that a recipient's mail was handed on to an upstream that
// tells of no success, where the sender wants to be told of one (RFC 3461 §5.2.2).
func (a *attempt) noteRelayed(i int, upstreamTells bool) {
	if !upstreamTells && a.envelope.ReversePath != "" && a.envelope.Recipients[i].Notify.Wants(spool.NotifySuccess) {
		a.relayed = append(a.relayed, i)
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
	if len(a.pending()) == 0 || a.interrupted && len(a.judged) == 0 {
		return
	}
	now := a.scheduler.options.Clock.Now()
	byLogin := a.fault != nil && a.fault.Class == ClassAuthentication
	if !byLogin && now.Sub(e.Accepted)-a.suspended >= a.settings.queue.Lifetime {
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
	for _, i := range a.pending() {
		reply := a.envelope.Recipients[i].Reply
		if a.fault != nil {
			reply = a.fault.Reply()
		}
		a.settle(i, spool.Expired, reply)
	}
}
