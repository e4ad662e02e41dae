// Package dsn writes delivery status notifications (RFC 3464): what tells the sender of a
// message that it was not delivered, or not yet, or handed on to where nobody will tell.
package dsn

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"strings"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

var (
	// ErrNullReversePath means that there is nobody to notify: a notification about a
	// message from the null reverse-path could be about another notification, and the two
	// would go on for ever (RFC 5321 §4.5.5).
	ErrNullReversePath = errors.New("a message from the null reverse-path gets no delivery status notification")
	// ErrNoRecipients means that a Report has nothing to tell.
	ErrNoRecipients = errors.New("a delivery status notification needs a recipient to tell of")
)

// Report is one delivery status notification.
type Report struct {
	// Hostname of the relay, which reports.
	Hostname string
	// ID becomes the left part of the Message-ID: the queue id of the notification, so that
	// writing it twice gives the same one. A random one when empty.
	ID string
	// Envelope of the message that the notification is about.
	Envelope *spool.Envelope
	// Postmaster gets the notification in place of the sender, and is told why; empty when the
	// sender gets it.
	Postmaster string
	// From is the address of who reports; MAILER-DAEMON at Hostname when empty.
	From string
	// Recipients to tell of. What is said of each follows from its outcome: given up, still
	// being tried, or handed on.
	Recipients []spool.Recipient
	// RemoteMTA is the host of the upstream whose replies the recipients have; empty leaves it
	// out.
	RemoteMTA string
	// Now is the time of the notification.
	Now time.Time
	// RetryUntil is when a delayed recipient will be given up; zero leaves it out.
	RetryUntil time.Time
	// Message is what the notification is about, or its header section. Nil leaves it out.
	Message io.Reader
	// Full returns the whole message and not only its header section (RFC 3461 §4.3), when it
	// has no more than MaxReturned bytes. The notification may need 8BITMIME then.
	Full bool
}

// SMTPUTF8 reports whether the notification needs RFC 6531: the address of who gets or sends
// it does. It then has the parts of RFC 6533. Any other is made of short 7-bit lines, but for
// a whole message.
func (r Report) SMTPUTF8() bool { return !isASCII(r.to() + r.from()) }

// MessageID is the Message-ID of the notification, with angle brackets, when ID is set.
func (r Report) MessageID() string { return "<" + r.ID + "@" + r.Hostname + ">" }

// WriteTo implements io.WriterTo. It writes nothing, and returns ErrNullReversePath, when
// the message was sent from the null reverse-path and nobody else is to be told.
func (r Report) WriteTo(w io.Writer) (int64, error) {
	message, err := r.message()
	if err != nil {
		return 0, err
	}
	return message.WriteTo(w)
}

func (r Report) to() string {
	if r.Postmaster != "" {
		return r.Postmaster
	}
	return r.Envelope.ReversePath
}

func (r Report) from() string {
	if r.From != "" {
		return r.From
	}
	return "MAILER-DAEMON@" + r.Hostname
}

// has reports whether the notification says such a thing of any recipient.
func (r Report) has(what action) bool {
	for _, recipient := range r.Recipients {
		if actionOf(recipient) == what {
			return true
		}
	}
	return false
}

func (r Report) message() (*bytes.Buffer, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if r.ID == "" {
		r.ID = strings.ToLower(rand.Text())
	}
	original, err := r.original()
	if err != nil {
		return nil, fmt.Errorf("read the message %s: %w", r.Envelope.ID, err)
	}
	boundary := rand.Text()
	out := new(bytes.Buffer)
	r.writeHeader(out, boundary, original)
	newPart("text/plain; charset=utf-8", "Notification", r.text(), quotedPrintable).write(out, boundary)
	r.report().write(out, boundary)
	if original != nil {
		original.write(out, boundary)
	}
	fmt.Fprintf(out, "\r\n--%s--\r\n", boundary)
	return out, nil
}

// report is the part for programs. RFC 6533 §6.4 wants 8bit whether or not it is needed.
func (r Report) report() *part {
	if r.SMTPUTF8() {
		return &part{"message/global-delivery-status", "Delivery report", r.status(), eightBit}
	}
	return newPart("message/delivery-status", "Delivery report", r.status(), quotedPrintable)
}

// check refuses what would not make a well-formed message.
func (r Report) check() error {
	switch {
	case r.to() == "":
		return ErrNullReversePath
	case len(r.Recipients) == 0:
		return ErrNoRecipients
	case !safeToken(r.Hostname):
		return fmt.Errorf("host name %q cannot stand in an address", r.Hostname)
	case r.ID != "" && !safeToken(r.ID):
		return fmt.Errorf("id %q cannot stand in a Message-ID", r.ID)
	case !safeAddress(r.to()):
		return fmt.Errorf("address %q cannot get a delivery status notification", r.to())
	case !safeAddress(r.from()):
		return fmt.Errorf("address %q cannot send a delivery status notification", r.from())
	}
	return nil
}

// writeHeader writes the header section. Auto-Submitted keeps auto-responders from answering;
// RFC 3834 §5 has auto-replied for all notifications and forbids auto-generated for them.
func (r Report) writeHeader(out *bytes.Buffer, boundary string, original *part) {
	field := func(name, value string) { writeField(out, name, value) }
	field("From", "Mail Delivery System "+(&mail.Address{Address: r.from()}).String())
	field("To", (&mail.Address{Address: r.to()}).String())
	field("Subject", r.subject())
	field("Date", r.Now.Format(time.RFC1123Z))
	field("Message-ID", r.MessageID())
	if id := r.Envelope.MessageID; safeMessageID(id) {
		field("In-Reply-To", id)
		field("References", id)
	}
	field("Auto-Submitted", "auto-replied")
	field("MIME-Version", "1.0")
	field("Content-Type", "multipart/report; report-type=delivery-status; boundary="+boundary)
	if r.SMTPUTF8() || original != nil && original.encoding == eightBit {
		field("Content-Transfer-Encoding", eightBit)
	}
	out.WriteString("\r\nThis is a delivery status notification in MIME format.\r\n")
}

func (r Report) subject() string {
	switch {
	case r.has(failed):
		return "Mail could not be delivered"
	case r.has(delayed):
		return "Mail is delayed, delivery is still being tried"
	}
	return "Mail was handed on to a server that does not confirm delivery"
}
