package submission

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/emersion/go-smtp"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/message"
	"github.com/mailrelay-dev/mailrelay-operator/relay/message/recode"
	"github.com/mailrelay-dev/mailrelay-operator/relay/policy"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// Data implements smtp.Session: it takes the content of a message (RFC 5321 §4.1.1.4). The
// 250 goes out only once the spool has the message on disk.
func (s *session) Data(r io.Reader) error {
	// go-smtp hands BDAT's chunks over by a pipe, and a chunk that was cut short looks whole
	// there. The front door lets no BDAT through; this holds without it.
	if _, chunked := r.(*io.PipeReader); chunked {
		return s.answer("BDAT", refuse(reasonChunking, 502, 5, 5, 1, "BDAT is not offered: use DATA"))
	}
	tx := s.takeTransaction()
	if tx == nil {
		return s.answer("DATA", refuse(reasonSequence, 503, 5, 5, 1, "Send MAIL and RCPT first"))
	}
	s.conn.watch(true)
	defer s.conn.watch(false)
	body := &bodyReader{src: r, limit: tx.maxSize, refuseBareLF: s.config().Message.BareLF == config.BareLFRefuse}
	id, refused := s.receive(tx, body)
	if refused != nil {
		refused.sender = tx.sender
		// go-smtp reads on to the end of data by itself, but without a bound.
		if !refused.hangUp && !body.discard() {
			refused.hangUp = true
		}
		return s.answer("DATA", refused)
	}
	return reply(250, 2, 0, 0, "Ok: queued as "+id)
}

// takeTransaction ends the transaction and returns it; nil unless it has recipients. From
// here on Reset cannot pull it away.
func (s *session) takeTransaction() *transaction {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx := s.tx
	if tx == nil || len(tx.recipients) == 0 {
		return nil
	}
	s.tx = nil
	return tx
}

// receive reads the message and puts it into the spool. It returns the queue id.
func (s *session) receive(tx *transaction, body *bodyReader) (string, *refusal) {
	content, err := message.ReadContent(body)
	if err != nil {
		return "", contentRefusal(err, tx.maxSize)
	}
	defer content.Close()
	content.Header.QuoteNames()
	if !tx.needsUTF8 {
		content.Header.EncodeWords()
	}
	content.Header.RewriteSenders(s.rewriters.of(s.config()))
	if r := s.checkHeader(tx, &content.Header); r != nil {
		return "", r
	}
	draft, err := s.spool.Create(context.Background())
	if err != nil {
		return "", spoolRefusal(err)
	}
	defer draft.Abort()
	envelope := s.complete(tx, draft.ID(), &content.Header)
	scanner := recode.NewScanner()
	defer scanner.Close()
	if _, err := content.WriteTo(io.MultiWriter(draft, scanner)); err != nil {
		return "", contentRefusal(err, tx.maxSize)
	}
	// What can never be sent is better refused now than bounced later.
	plan, err := scanner.Plan(recode.Limits{})
	if err != nil {
		return "", refuse(reasonContent, 554, 5, 6, 0, "The message cannot be sent on: "+err.Error())
	}
	envelope.LongLines = plan.Changes()
	envelope.EightBit = content.EightBit()
	if r := s.commit(tx, draft, envelope); r != nil {
		return "", r
	}
	s.metrics.accepted.Inc()
	s.logAccepted(envelope, tx)
	return envelope.ID, nil
}

// checkHeader refuses messages that loop (RFC 5321 §6.3), that nobody wrote, and those with
// From addresses that are not the user's to send as (RFC 6409 §6.1).
func (s *session) checkHeader(tx *transaction, h *message.Header) *refusal {
	if n := h.Count("Received"); n > message.MaxReceived {
		return refuse(reasonLoop, 554, 5, 4, 6, fmt.Sprintf("The message has %d Received header fields: it is in a loop", n))
	}
	if n := h.Passes(s.config().Hostname); n > message.MaxPasses {
		return refuse(reasonLoop, 554, 5, 4, 6, fmt.Sprintf("The message was here %d times before: it is in a loop", n))
	}
	if h.Empty("From") {
		if r := s.checkNoFrom(tx); r != nil {
			return r
		}
	}
	var denied *policy.DeniedError
	switch err := policy.CheckHeader(tx.user, h); {
	case errors.As(err, &denied):
		return refuse(reasonSender, 550, 5, 7, 1, err.Error())
	case err != nil:
		return refuse(reasonContent, 554, 5, 6, 0, err.Error())
	}
	return nil
}

// checkNoFrom refuses a message without a From field when none can be made, or shall be made,
// of the envelope.
func (s *session) checkNoFrom(tx *transaction) *refusal {
	if tx.sender == "" || s.config().Message.MissingFrom == config.MissingFromRefuse {
		return refuse(reasonContent, 554, 5, 6, 0, "The message has no From header field: add one")
	}
	return nil
}

// complete makes the header fit to leave and the envelope to go with it.
func (s *session) complete(tx *transaction, id string, h *message.Header) *spool.Envelope {
	now := s.now()
	smtpUTF8 := tx.needsUTF8 || tx.askedUTF8 && !h.ASCII()
	settings := s.config().Message
	user := ""
	if settings.ReceivedUser {
		user = tx.user.Name
	}
	h.Complete(message.Submission{
		QueueID:       id,
		Hostname:      s.config().Hostname,
		ClientName:    s.greeted(),
		ClientAddress: s.client,
		TLS:           s.tls,
		SMTPUTF8:      smtpUTF8,
		User:          user,
		Sender:        tx.sender,
		Drop:          settings.DropHeaders,
		Time:          now,
	})
	return &spool.Envelope{
		ID:          id,
		Accepted:    now,
		User:        tx.user.Name,
		ReversePath: tx.sender,
		MessageID:   h.MessageID(),
		SMTPUTF8:    smtpUTF8,
		Recipients:  tx.recipients,
		Return:      tx.ret,
		EnvelopeID:  tx.envelopeID,
	}
}

// contentRefusal is what a client is told when its message could not be read or stored.
func contentRefusal(err error, maxSize int64) *refusal {
	var write *message.WriteError
	switch {
	case errors.As(err, &write):
		return spoolRefusal(err)
	case errors.Is(err, errTooLarge):
		return tooLarge(maxSize)
	case errors.Is(err, message.ErrBareCR):
		// Whether the end of data behind it was seen is not known, so this is the end.
		return refuse(reasonContent, 554, 5, 6, 0, "The message has a bare CR: end lines with CR LF").andHangUp()
	case errors.Is(err, errBareLF):
		return refuse(reasonContent, 554, 5, 6, 0, "The message has a bare LF: end lines with CR LF")
	case errors.Is(err, message.ErrNUL):
		return refuse(reasonContent, 554, 5, 6, 0, "The message has a NUL octet: encode binary content")
	case errors.Is(err, message.ErrHeaderTooLarge):
		return refuse(reasonContent, 554, 5, 6, 0, fmt.Sprintf("The header is larger than %d octets: shorten it", message.MaxHeaderBytes))
	case errors.Is(err, message.ErrTooManyFields):
		return refuse(reasonContent, 554, 5, 6, 0, fmt.Sprintf("The message has more than %d header fields: leave some out", message.MaxHeaderFields))
	case errors.Is(err, message.ErrBrokenHeader):
		return refuse(reasonContent, 554, 5, 6, 0, "The header has a line that is no header field, and a Bcc field after it: mend that line")
	case errors.Is(err, smtp.ErrTooLongLine):
		return refuse(reasonContent, 554, 5, 6, 0, "The message has a line that is too long").andHangUp()
	}
	// Never 554: what was cut short by a lost or slow connection can be sent again.
	return refuse(reasonInterrupted, 421, 4, 4, 2, "The connection broke or was too slow before the end of the message").
		because(err).andHangUp()
}
