package submission

import (
	"fmt"

	"github.com/emersion/go-smtp"
)

// Reasons of refusals, as metrics and logs show them.
const (
	reasonSequence    = "sequence"
	reasonLogin       = "not_logged_in"
	reasonAddress     = "address"
	reasonParameter   = "parameter"
	reasonSender      = "sender_denied"
	reasonRecipient   = "recipient_denied"
	reasonRecipients  = "too_many_recipients"
	reasonRate        = "rate"
	reasonQueue       = "queue_full"
	reasonSize        = "too_large"
	reasonSpace       = "low_space"
	reasonContent     = "content"
	reasonLoop        = "loop"
	reasonInterrupted = "interrupted"
	reasonChunking    = "chunking"
	reasonInternal    = "internal"
)

// refusal is why a command is refused, and what the client is told.
type refusal struct {
	reason string
	reply  *smtp.SMTPError
	// logged is what the log shows of the reply when it must not show all of it.
	logged *smtp.SMTPError
	// detail is for the log only, as are the addresses that the command was about.
	detail            error
	sender, recipient string
	// hangUp closes the connection after the reply.
	hangUp bool
}

// refuse makes a refusal with an enhanced status code (RFC 3463).
func refuse(reason string, code, class, subject, detail int, text string) *refusal {
	return &refusal{reason: reason, reply: reply(code, class, subject, detail, text)}
}

// because adds what only the log shows.
func (r *refusal) because(err error) *refusal {
	r.detail = err
	return r
}

// andHangUp makes the refusal the last word on the connection.
func (r *refusal) andHangUp() *refusal {
	r.hangUp = true
	return r
}

// internal is the refusal for trouble of our own. The client can do nothing about it but
// try again, so it is told no more.
func internal(err error) *refusal {
	return refuse(reasonInternal, 451, 4, 3, 0, "The relay has a problem of its own: try again later").because(err)
}

// reply makes a reply as go-smtp wants it: errors of any other type, wrapped ones too, it
// sends as "554" with their text, paths and all.
func reply(code, class, subject, detail int, text string) *smtp.SMTPError {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{class, subject, detail}, Message: printable(text)}
}

// replyLine is a reply as it goes over the wire, without CRLF.
func replyLine(r *smtp.SMTPError) string {
	return fmt.Sprintf("%d %d.%d.%d %s", r.Code, r.EnhancedCode[0], r.EnhancedCode[1], r.EnhancedCode[2], r.Message)
}

// maxReplyText keeps a reply line within 512 octets (RFC 5321 §4.5.3.1.5).
const maxReplyText = 480

// printable makes text that may hold what a client sent safe in a reply.
func printable(text string) string {
	out := make([]byte, 0, min(len(text), maxReplyText))
	for _, r := range text {
		if len(out) == maxReplyText {
			break
		}
		if r < ' ' || r > '~' {
			r = '?'
		}
		out = append(out, byte(r))
	}
	return string(out)
}

// answer logs and counts a refusal within a mail transaction and returns it as go-smtp
// wants it; nil for none.
func (s *session) answer(command string, r *refusal) error {
	if r == nil {
		return nil
	}
	s.metrics.refused.WithLabelValues(r.reason).Inc()
	s.logRefusal(command, r)
	return s.say(r)
}

// say returns the reply of a refusal, and ends the connection where it is the last word.
func (s *session) say(r *refusal) error {
	if r.hangUp {
		s.abort(replyLine(r.reply))
	}
	return r.reply
}
