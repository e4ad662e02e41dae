package delivery

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/dsn"
	"github.com/mailrelay-dev/mailrelay-operator/relay/message/recode"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// notification tells somebody of recipients of a message.
type notification struct {
	settings settings
	// about is the envelope of the message. It is written together with the notification.
	about *spool.Envelope
	// to is the sender of the message, or the postmaster.
	to         string
	postmaster bool
	// from is the null sender, which notifications must have (RFC 3461 §6.1), unless that was
	// refused.
	from       string
	recipients []spool.Recipient
	// remoteMTA is the host that the recipients' replies are of, empty when not known.
	remoteMTA string
	// until is when what is late will be given up.
	until time.Time
}

// notify queues a notification as a draft. In the same write goes what it is about.
func (s *Scheduler) notify(ctx context.Context, draft spool.Draft, n *notification) error {
	defer draft.Abort()
	report := n.report(draft.ID(), s.options.Clock.Now())
	content, err := s.compose(report)
	if err != nil {
		return err
	}
	if _, err := draft.Write(content.bytes); err != nil {
		return err
	}
	recipient := spool.Recipient{Address: n.to}
	if n.from != "" {
		// Without the null sender this is what keeps notifications from being notified of.
		recipient.Notify = spool.NotifyNever
	}
	err = draft.Commit(ctx, &spool.Envelope{
		Accepted:    report.Now,
		ReversePath: n.from,
		Recipients:  []spool.Recipient{recipient},
		MessageID:   report.MessageID(),
		SMTPUTF8:    report.SMTPUTF8(),
		EightBit:    content.eightBit,
		LongLines:   content.longLines,
	}, n.about)
	if err != nil {
		return err
	}
	s.metrics.notifications.WithLabelValues(n.kind()).Inc()
	s.options.Logger.Info("a notification was queued", "queue_id", n.about.ID, "recipients", len(n.recipients), "kind", n.kind(),
		"notification_id", draft.ID(), "to", config.FormatRecipient(n.settings.logRecipients, n.to))
	return nil
}

// Kinds of notifications, as log and metrics have them.
const (
	kindFailure = "failure"
	kindDelay   = "delay"
	kindRelayed = "relayed"
)

// kind is the worst thing that it tells.
func (n *notification) kind() string {
	is := func(f func(spool.Outcome) bool) bool {
		return slices.ContainsFunc(n.recipients, func(r spool.Recipient) bool { return f(r.Outcome) })
	}
	switch {
	case is(spool.Outcome.Failed):
		return kindFailure
	case is(func(o spool.Outcome) bool { return o == spool.Pending }):
		return kindDelay
	}
	return kindRelayed
}

// report is the notification, without the message that it is about.
func (n *notification) report(id string, now time.Time) dsn.Report {
	report := dsn.Report{
		Hostname:   n.settings.hostname,
		ID:         id,
		Envelope:   n.about,
		From:       n.from,
		Recipients: n.recipients,
		RemoteMTA:  n.remoteMTA,
		Now:        now,
		RetryUntil: n.until,
		Full:       n.about.Return == spool.ReturnFull,
	}
	if n.postmaster {
		report.Postmaster = n.to
		// Only a bounce itself says what bounced.
		report.Full = report.Full || n.about.User == ""
	}
	return report
}

// composed is a notification as it goes into the spool.
type composed struct {
	bytes               []byte
	eightBit, longLines bool
}

// compose writes the notification with as much of the message as can be had and sent on.
func (s *Scheduler) compose(report dsn.Report) (composed, error) {
	if report.Full {
		content, err := s.composeWith(report)
		if err == nil && content.measure(report.SMTPUTF8()) {
			return content, nil
		}
		report.Full = false
	}
	content, err := s.composeWith(report)
	if err == nil {
		content.eightBit = report.SMTPUTF8()
		return content, nil
	}
	s.options.Logger.Warn("a notification goes out without the header of the message",
		"queue_id", report.Envelope.ID, "error", err)
	return composeReport(report)
}

// composeWith opens the message for the notification.
func (s *Scheduler) composeWith(report dsn.Report) (composed, error) {
	message, err := s.options.Spool.Open(report.Envelope.ID)
	if err != nil {
		return composed{}, err
	}
	defer func() { _ = message.Close() }()
	report.Message = message
	return composeReport(report)
}

func composeReport(report dsn.Report) (composed, error) {
	out := new(bytes.Buffer)
	if _, err := report.WriteTo(out); err != nil {
		return composed{}, fmt.Errorf("make a notification: %w", err)
	}
	return composed{bytes: out.Bytes()}, nil
}

// measure finds out what a notification with a whole message in it needs of upstreams. It
// reports false when there are some that could not be sent it.
func (c *composed) measure(smtpUTF8 bool) bool {
	scanner := recode.NewScanner()
	_, _ = scanner.Write(c.bytes) // it never fails
	// Who takes SMTPUTF8 takes 8-bit bodies (RFC 6531 §3.1).
	if _, err := scanner.Plan(recode.Limits{SevenBit: !smtpUTF8}); err != nil {
		return false
	}
	plan, err := scanner.Plan(recode.Limits{})
	if err != nil {
		return false
	}
	c.longLines = plan.Changes()
	c.eightBit = slices.ContainsFunc(c.bytes, func(b byte) bool { return b >= utf8.RuneSelf })
	return true
}
