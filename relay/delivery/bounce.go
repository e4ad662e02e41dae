package delivery

import (
	"bytes"
	"context"
	"fmt"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/dsn"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// bounce queues a notification about the recipients that failed, together with the updated
// envelope of the message. It reports false, and changes nothing, when nobody can be told;
// the log is all that tells of it then.
func (a *attempt) bounce(ctx context.Context) (bool, error) {
	log := a.scheduler.options.Logger.With("queue_id", a.envelope.ID, "recipients", len(a.failed))
	to := a.bounceTo()
	if to == "" && a.unrecorded > 0 {
		return false, nil
	}
	if to == "" {
		log.Warn("a message failed and there is nobody to tell: it has no sender, and queue.postmaster is not set or is who did not get it")
		return false, nil
	}
	draft, err := a.scheduler.options.Spool.CreateOutcome(ctx)
	if err != nil {
		return false, fmt.Errorf("write a bounce: %w", err)
	}
	defer draft.Abort()
	report := a.report(to, draft.ID())
	content, err := a.compose(report)
	if err != nil {
		return false, fmt.Errorf("make a bounce: %w", err)
	}
	if _, err := content.WriteTo(draft); err != nil {
		return false, fmt.Errorf("write a bounce: %w", err)
	}
	err = draft.Commit(ctx, &spool.Envelope{
		Accepted:   report.Now,
		Recipients: []spool.Recipient{{Address: to}},
		MessageID:  report.MessageID(),
		SMTPUTF8:   report.SMTPUTF8(),
	}, a.envelope)
	if err != nil {
		return false, fmt.Errorf("write a bounce: %w", err)
	}
	log.Info("a bounce was queued", "bounce_id", draft.ID(), "to", config.FormatRecipient(a.settings.logRecipients, to))
	return true, nil
}

// compose writes the notification, with the header of the message where that can be read.
func (a *attempt) compose(report dsn.Report) (*bytes.Buffer, error) {
	content := new(bytes.Buffer)
	header, err := a.scheduler.options.Spool.Open(a.envelope.ID)
	if err == nil {
		defer func() { _ = header.Close() }()
		report.Header = header
		if _, err = report.WriteTo(content); err == nil {
			return content, nil
		}
	}
	a.scheduler.options.Logger.Warn("a bounce goes out without the header of the message",
		"queue_id", a.envelope.ID, "error", err)
	report.Header = nil
	content.Reset()
	_, err = report.WriteTo(content)
	return content, err
}

// bounceTo is who is told of a failure: the sender; for messages that have none, the relay's
// own bounces among them, the postmaster, unless it is the postmaster who did not get it.
func (a *attempt) bounceTo() string {
	if a.envelope.ReversePath != "" {
		return a.envelope.ReversePath
	}
	postmaster := a.settings.queue.Postmaster
	for _, i := range a.failed {
		if a.envelope.Recipients[i].Address == postmaster {
			return ""
		}
	}
	return postmaster
}

// report is the notification, without the header of the message.
func (a *attempt) report(to, id string) dsn.Report {
	about := a.envelope.Clone()
	// A notification to the postmaster is about a message without a sender, which is safe
	// only because the postmaster is never told of the postmaster's own mail.
	about.ReversePath = to
	report := dsn.Report{
		Kind:     dsn.Failure,
		Hostname: a.settings.hostname,
		ID:       id,
		Envelope: about,
		To:       to,
		Now:      a.scheduler.options.Clock.Now(),
	}
	for _, i := range a.failed {
		report.Recipients = append(report.Recipients, a.envelope.Recipients[i])
	}
	return report
}
