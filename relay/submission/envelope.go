package submission

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/emersion/go-smtp"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/message"
	"github.com/mailrelay-dev/mailrelay-operator/relay/policy"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// Mail implements smtp.Session: MAIL FROM begins a transaction (RFC 5321 §4.1.1.2).
func (s *session) Mail(from string, opts *smtp.MailOptions) error {
	r := s.mail(from, opts)
	if r != nil {
		r.sender = from
	}
	return s.answer("MAIL", r)
}

func (s *session) mail(from string, opts *smtp.MailOptions) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	user, r := s.mayMail()
	if r != nil {
		return r
	}
	if r := s.checkTwice("RET", "ENVID"); r != nil {
		return r
	}
	if r := checkEnvelopeID(opts.EnvelopeID); r != nil {
		return r
	}
	from = s.rewriters.of(s.config()).Sender(from)
	tx := &transaction{started: s.now(), user: user, sender: from, askedUTF8: opts.UTF8, ret: string(opts.Return), envelopeID: opts.EnvelopeID}
	if from != "" {
		a, err := message.ParseAddress(from, opts.UTF8)
		if err != nil {
			return badAddress(err, senderCodes)
		}
		tx.needsUTF8 = !a.ASCII()
	}
	if err := policy.CheckSender(user, from); err != nil {
		return refuse(reasonSender, 550, 5, 7, 1, err.Error())
	}
	tx.maxSize = policy.MaxSize(user, s.config().Message.MaxSize)
	if tx.maxSize > 0 && opts.Size > tx.maxSize {
		return tooLarge(tx.maxSize)
	}
	if r := s.checkQueue(user, 0); r != nil {
		return r
	}
	if r := s.checkRate(user, 1); r != nil {
		return r
	}
	if r := s.canStore(); r != nil {
		return r
	}
	s.tx = tx
	return nil
}

// mayMail checks what must be true before a transaction can begin. s.mu is held.
func (s *session) mayMail() (*config.User, *refusal) {
	if s.user == "" {
		return nil, refuse(reasonLogin, 530, 5, 7, 0, "Authentication required")
	}
	// go-smtp takes a second MAIL and keeps the recipients of the first.
	if s.tx != nil {
		return nil, refuse(reasonSequence, 503, 5, 5, 1, "A mail transaction is already under way: send RSET first")
	}
	return s.stillIn()
}

// canStore asks the spool for a draft and gives it back, so that a client hears of a full
// disk before it has sent the message.
func (s *session) canStore() *refusal {
	draft, err := s.spool.Create(context.Background())
	if err != nil {
		return spoolRefusal(err)
	}
	draft.Abort()
	return nil
}

// Rcpt implements smtp.Session: RCPT TO adds a recipient (RFC 5321 §4.1.1.3).
func (s *session) Rcpt(to string, opts *smtp.RcptOptions) error {
	r := s.rcpt(to, opts)
	if r != nil {
		r.recipient = to
	}
	return s.answer("RCPT", r)
}

func (s *session) rcpt(to string, opts *smtp.RcptOptions) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tx == nil {
		return refuse(reasonSequence, 503, 5, 5, 1, "Send MAIL first")
	}
	if r := s.checkTwice("NOTIFY", "ORCPT"); r != nil {
		return r
	}
	recipient, r := statusRequest(to, opts)
	if r != nil {
		return r
	}
	a, err := message.ParseAddress(to, s.tx.askedUTF8)
	if err != nil {
		return badAddress(err, recipientCodes)
	}
	if slices.ContainsFunc(s.tx.recipients, func(r spool.Recipient) bool { return r.Address == to }) {
		return nil
	}
	if err := policy.CheckRecipient(s.config().Message.Recipients, s.tx.user, to); err != nil {
		return s.denied(err)
	}
	// 452, not 552: the client sends to those accepted and comes again with the rest
	// (RFC 5321 §4.5.3.1.10).
	if limit := policy.MaxRecipients(s.tx.user, s.config().Message.MaxRecipients); limit > 0 && len(s.tx.recipients) >= limit {
		return refuse(reasonRecipients, 452, 4, 5, 3, fmt.Sprintf("A message can have %d recipients: send it to the others again", limit))
	}
	if r := s.checkRate(s.tx.user, len(s.tx.recipients)+1); r != nil {
		return r
	}
	s.tx.recipients = append(s.tx.recipients, recipient)
	s.tx.needsUTF8 = s.tx.needsUTF8 || !a.ASCII()
	return nil
}

// denied refuses a recipient. The log says it with as much of the address as it may show.
func (s *session) denied(err error) *refusal {
	r := refuse(reasonRecipient, 550, 5, 7, 1, err.Error())
	var known *policy.RecipientError
	if errors.As(err, &known) {
		hidden := *known
		hidden.Recipient = s.shown(known.Recipient)
		r.logged = reply(550, 5, 7, 1, hidden.Error())
	}
	return r
}

// addressCodes are the enhanced status codes (RFC 3463 §3.2) of a bad sender or recipient.
type addressCodes struct{ mailbox, system int }

var (
	senderCodes    = addressCodes{mailbox: 7, system: 8}
	recipientCodes = addressCodes{mailbox: 3, system: 2}
)

// badAddress tells apart what can never be an address (501) and what is one that this relay
// does not carry (553).
func badAddress(err error, codes addressCodes) *refusal {
	var bad *message.AddressError
	if !errors.As(err, &bad) {
		return internal(err)
	}
	switch bad.Fault {
	case message.NeedsQuotes:
		return refuse(reasonAddress, 553, 5, 1, codes.mailbox, bad.Text)
	case message.Literal:
		return refuse(reasonAddress, 553, 5, 1, codes.system, bad.Text)
	case message.BadDomain, message.Unqualified:
		return refuse(reasonAddress, 501, 5, 1, codes.system, bad.Text)
	case message.NeedsUTF8:
		return refuse(reasonAddress, 553, 5, 6, 7, bad.Text)
	}
	return refuse(reasonAddress, 501, 5, 1, codes.mailbox, bad.Text)
}

func tooLarge(limit int64) *refusal {
	return refuse(reasonSize, 552, 5, 3, 4, fmt.Sprintf("The message is too large: the limit is %d octets", limit))
}

// spoolRefusal is what a client is told of an error of the spool: that it is temporary.
func spoolRefusal(err error) *refusal {
	if errors.Is(err, spool.ErrLowSpace) {
		return refuse(reasonSpace, 452, 4, 3, 1, "The relay's disk is low on space: try again later").because(err)
	}
	return internal(err)
}
