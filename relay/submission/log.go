package submission

import (
	"cmp"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// about is what every line about this connection carries, and more.
func (s *session) about(more ...any) []any {
	attrs := []any{"client", s.client.String()}
	if s.service != "" {
		attrs = append(attrs, "service", s.service)
	}
	if user := s.userName(); user != "" {
		attrs = append(attrs, "user", user)
	}
	return append(attrs, more...)
}

// logRefusal writes the line of a command refused.
func (s *session) logRefusal(command string, r *refusal) {
	attrs := s.about("command", command, "reason", r.reason, "reply", replyLine(cmp.Or(r.logged, r.reply)))
	if r.sender != "" {
		attrs = append(attrs, "sender", config.Clip(r.sender))
	}
	if r.recipient != "" {
		attrs = append(attrs, "recipient", config.Clip(s.shown(r.recipient)))
	}
	if r.reason == reasonInternal {
		s.log.Error("refused", append(attrs, "error", r.detail)...)
		return
	}
	if r.detail != nil {
		attrs = append(attrs, "error", r.detail)
	}
	s.log.Info("refused", attrs...)
}

// logAccepted writes the line of a message accepted.
func (s *session) logAccepted(e *spool.Envelope, tx *transaction) {
	recipients := make([]string, len(e.Recipients))
	for i, r := range e.Recipients {
		recipients[i] = s.shown(r.Address)
	}
	s.log.Info("accepted", s.about(
		"queue_id", e.ID,
		"message_id", config.Clip(e.MessageID),
		"sender", e.ReversePath,
		"recipients", recipients,
		"size", e.Size,
		"tls", s.tls,
		"duration", s.now().Sub(tx.started),
	)...)
}

// shown is a recipient as the configuration lets the log show it.
func (s *session) shown(address string) string {
	return config.FormatRecipient(s.config().Logging.Recipients, address)
}
