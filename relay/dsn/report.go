// Package dsn writes delivery status notifications (RFC 3464): what tells the sender of a
// message that it was not delivered, or not yet.
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

// Kind is what a notification is about.
type Kind int

const (
	// Failure says that recipients were given up.
	Failure Kind = iota
	// Delay says that recipients are still being tried.
	Delay
)

// Report is one delivery status notification.
type Report struct {
	// Kind of the notification.
	Kind Kind
	// Hostname of the relay, which reports.
	Hostname string
	// ID becomes the left part of the Message-ID: the queue id of the notification, so that
	// writing it twice gives the same one. A random one when empty.
	ID string
	// Envelope of the message that the notification is about.
	Envelope *spool.Envelope
	// To gets the notification; Envelope.ReversePath when empty.
	To string
	// Recipients to tell of.
	Recipients []spool.Recipient
	// Now is the time of the notification.
	Now time.Time
	// RetryUntil is when a delayed recipient will be given up; zero leaves it out.
	RetryUntil time.Time
	// Header is the message or its header section; nothing after the first empty line or
	// 64 KiB is read. Nil leaves it out.
	Header io.Reader
}

// SMTPUTF8 reports whether the notification needs RFC 6531: its recipient's address does.
// Everything else in it is made of 7-bit lines.
func (r Report) SMTPUTF8() bool { return !isASCII(r.to()) }

// MessageID is the Message-ID of the notification, with angle brackets, when ID is set.
func (r Report) MessageID() string { return "<" + r.ID + "@" + r.Hostname + ">" }

// WriteTo implements io.WriterTo. It writes nothing, and returns ErrNullReversePath, when
// the message was sent from the null reverse-path.
func (r Report) WriteTo(w io.Writer) (int64, error) {
	message, err := r.message()
	if err != nil {
		return 0, err
	}
	return message.WriteTo(w)
}

func (r Report) to() string {
	if r.To != "" {
		return r.To
	}
	return r.Envelope.ReversePath
}

func (r Report) message() (*bytes.Buffer, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if r.ID == "" {
		r.ID = strings.ToLower(rand.Text())
	}
	original, err := originalHeader(r.Header)
	if err != nil {
		return nil, fmt.Errorf("read the header of %s: %w", r.Envelope.ID, err)
	}
	boundary := rand.Text()
	out := new(bytes.Buffer)
	r.writeHeader(out, boundary)
	writePart(out, boundary, "text/plain", "Notification", r.text())
	writePart(out, boundary, "message/delivery-status", "Delivery report", r.status())
	if len(original) > 0 {
		writePart(out, boundary, "text/rfc822-headers", "Header of the message", original)
	}
	fmt.Fprintf(out, "\r\n--%s--\r\n", boundary)
	return out, nil
}

// check refuses what would not make a well-formed message.
func (r Report) check() error {
	switch {
	case r.Envelope.ReversePath == "":
		return ErrNullReversePath
	case len(r.Recipients) == 0:
		return ErrNoRecipients
	case !safeToken(r.Hostname):
		return fmt.Errorf("host name %q cannot stand in an address", r.Hostname)
	case r.ID != "" && !safeToken(r.ID):
		return fmt.Errorf("id %q cannot stand in a Message-ID", r.ID)
	case !safeAddress(r.to()):
		return fmt.Errorf("address %q cannot get a delivery status notification", r.to())
	}
	return nil
}

// writeHeader writes the header section. RFC 3834 has Auto-Submitted, which keeps
// auto-responders from answering.
func (r Report) writeHeader(out *bytes.Buffer, boundary string) {
	field := func(name, value string) { writeField(out, name, value) }
	field("From", "Mail Delivery System <MAILER-DAEMON@"+r.Hostname+">")
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
	out.WriteString("\r\nThis is a delivery status notification in MIME format.\r\n")
}

func (r Report) subject() string {
	if r.Kind == Delay {
		return "Mail is delayed, delivery is still being tried"
	}
	return "Mail could not be delivered"
}
