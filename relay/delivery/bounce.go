package delivery

import (
	"bytes"
	"context"
	"fmt"

	"github.com/mailrelay-dev/mailrelay-operator/relay/dsn"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// bounce queues a notification about the recipients that failed, together with the updated
// envelope of the message. It reports false, and changes nothing, when nobody can be told;
// the log line of the attempt is all that tells of it then.
func (a *attempt) bounce(ctx context.Context) (bool, error) {
	to := a.bounceTo()
	if to == "" {
		return false, nil
	}
	draft, err := a.scheduler.options.Spool.Create(ctx)
	if err != nil {
		return false, fmt.Errorf("write a bounce: %w", err)
	}
	defer draft.Abort()
	report, closeHeader := a.report(to, draft.ID())
	defer closeHeader()
	var content bytes.Buffer
	if _, err := report.WriteTo(&content); err != nil {
		a.scheduler.options.Logger.Error("cannot make a bounce", "queue_id", a.envelope.ID, "error", err)
		return false, nil
	}
	if _, err := content.WriteTo(draft); err != nil {
		return false, fmt.Errorf("write a bounce: %w", err)
	}
	return true, draft.Commit(ctx, &spool.Envelope{
		Accepted:   report.Now,
		Recipients: []spool.Recipient{{Address: to}},
		MessageID:  report.MessageID(),
		SMTPUTF8:   report.SMTPUTF8(),
	}, a.envelope)
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

// report is the notification. The returned function closes what it reads from.
func (a *attempt) report(to, id string) (dsn.Report, func()) {
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
	header, err := a.scheduler.options.Spool.Open(a.envelope.ID)
	if err != nil {
		return report, func() {}
	}
	report.Header = header
	return report, func() { _ = header.Close() }
}
