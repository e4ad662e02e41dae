package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// tell queues a notification about what the attempt brought, together with the updated
// envelope of the message. It reports false, and changes nothing, when nobody is to be told;
// a message that failed is a dead letter all the same.
func (a *attempt) tell(ctx context.Context) (bool, error) {
	if len(a.failed) == 0 && len(a.relayed) == 0 {
		return false, nil
	}
	n := a.notification()
	if n == nil {
		a.logUntold(ctx)
		return false, nil
	}
	draft, err := a.scheduler.options.Spool.CreateOutcome(ctx)
	if err == nil {
		err = a.scheduler.notify(ctx, draft, n)
	}
	if err != nil {
		return false, fmt.Errorf("write a notification: %w", err)
	}
	return true, nil
}

// notification is what somebody is to be told of the attempt; nil when nobody is.
func (a *attempt) notification() *notification {
	n := &notification{settings: a.settings, about: a.envelope, remoteMTA: a.config.Host, to: a.envelope.ReversePath}
	if n.to == "" && !a.toPostmaster(n) {
		return nil
	}
	for _, i := range a.failed {
		if r := a.envelope.Recipients[i]; r.Notify.Wants(spool.NotifyFailure) {
			n.recipients = append(n.recipients, r)
		}
	}
	for _, i := range a.relayed {
		n.recipients = append(n.recipients, a.envelope.Recipients[i])
	}
	if len(n.recipients) == 0 {
		return nil
	}
	return n
}

// toPostmaster addresses a notification about a message without a sender, such as one of the
// relay's own. An upstream that does not take the null sender gets it from one that it takes,
// once: nobody is told of what becomes of that. It reports false when the postmaster cannot be
// told: there is none, or it is who did not get the message.
func (a *attempt) toPostmaster(n *notification) bool {
	queue := a.settings.queue
	n.to, n.postmaster = queue.Postmaster, true
	for _, i := range a.failed {
		if a.refusedForNullSender(i) {
			n.from = queue.BounceSender
			return n.to != ""
		}
	}
	for _, i := range a.failed {
		if a.envelope.Recipients[i].Address == n.to {
			return false
		}
	}
	return n.to != "" && len(a.failed) > 0
}

// refusedForNullSender reports whether the null sender can be why a recipient did not get the
// message: it was the sender or the message that was refused, or the recipient by a rule.
// Providers say it in all these ways, at MAIL or only at the end of data.
func (a *attempt) refusedForNullSender(i int) bool {
	e := a.causes[i]
	if a.envelope.ReversePath != "" || a.envelope.Recipients[i].Outcome != spool.Bounced || e == nil || e.Code/100 != 5 {
		return false
	}
	_, detail, _ := strings.Cut(e.Enhanced, ".")
	return e.Class != ClassRecipient || detail == "1.7" || detail == "1.8" || strings.HasPrefix(detail, "7.")
}

// logUntold says once why nobody is told of a message that failed.
func (a *attempt) logUntold(ctx context.Context) {
	if len(a.failed) == 0 || a.unrecorded > 0 {
		return
	}
	level, why := slog.LevelWarn, "it has no sender, and queue.postmaster is not set or is who did not get it"
	switch {
	case a.envelope.ReversePath != "" && a.envelope.User == "":
		why = "it is what the postmaster was to be told"
	case a.envelope.ReversePath != "":
		level, why = slog.LevelInfo, "its sender asked not to be told"
	}
	a.scheduler.options.Logger.Log(ctx, level, "a message failed and there is nobody to tell: "+why,
		"queue_id", a.envelope.ID, "recipients", len(a.failed))
}
