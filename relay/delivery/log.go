package delivery

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// result is what one or more recipients have in common after an attempt.
type result struct {
	name, reply string
	class       Class
}

// log writes one line for the attempt, or several when recipients got different replies.
func (a *attempt) log(next disposition) {
	recipients := make(map[result][]string)
	var order []result
	for i, r := range a.envelope.Recipients {
		cause := a.causes[i]
		if !a.concerned(i, cause) {
			continue
		}
		if cause == nil && r.Outcome != spool.Delivered {
			cause = a.fault
		}
		shown := config.FormatRecipient(a.settings.logRecipients, r.Address)
		key := result{name: resultOf(r), reply: r.Reply}
		if cause != nil {
			key.class, key.reply = cause.Class, cause.Reply()
		}
		// Upstreams like to repeat the address in their replies.
		key.reply = strings.ReplaceAll(key.reply, r.Address, shown)
		if _, ok := recipients[key]; !ok {
			order = append(order, key)
		}
		recipients[key] = append(recipients[key], shown)
	}
	for _, key := range order {
		a.logResult(key, recipients[key], next)
	}
}

// concerned reports whether the attempt was about a recipient.
func (a *attempt) concerned(i int, cause *Error) bool {
	return cause != nil || slices.Contains(a.judged, i)
}

func (a *attempt) logResult(key result, recipients []string, next disposition) {
	now := a.scheduler.options.Clock.Now()
	e := a.envelope
	level := slog.LevelInfo
	attributes := []slog.Attr{
		slog.String("queue_id", e.ID),
		slog.String("message_id", e.MessageID),
		slog.String("user", e.User),
		slog.String("sender", e.ReversePath),
		slog.Any("recipients", recipients),
		slog.String("result", key.name),
		slog.Int64("size", e.Size),
		slog.String("upstream", a.config.Name),
		slog.String("reply", key.reply),
		slog.Duration("duration", now.Sub(a.started)),
		slog.Duration("age", now.Sub(e.Accepted)),
		slog.Int("attempts", e.Attempts),
	}
	if key.name != string(spool.Delivered) {
		level = slog.LevelWarn
		attributes = append(attributes, slog.String("class", string(key.class)))
	}
	if key.name == deferred && !next.due.IsZero() {
		attributes = append(attributes, slog.Time("next_attempt", next.due))
	}
	a.scheduler.options.Logger.LogAttrs(context.Background(), level, "delivery", attributes...)
}
