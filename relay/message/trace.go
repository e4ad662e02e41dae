package message

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// MaxReceived is how many Received fields a message may have before it is taken to be
// in a loop (RFC 5321 §6.3).
const MaxReceived = 50

// Submission is how a message came in; Received tells it.
type Submission struct {
	// QueueID that the message got.
	QueueID string
	// Hostname of the relay.
	Hostname string
	// ClientName is the argument of EHLO as the client sent it.
	ClientName string
	// ClientAddress the client connected from.
	ClientAddress netip.Addr
	// TLS names version and cipher suite, such as "TLS1.3 TLS_AES_128_GCM_SHA256".
	TLS string
	// SMTPUTF8 is true when the message needs RFC 6531.
	SMTPUTF8 bool
	// Time of acceptance.
	Time time.Time
}

// dateLayout is date-time of RFC 5322 §3.3.
const dateLayout = "Mon, 2 Jan 2006 15:04:05 -0700"

// Complete makes the header fit to leave: it takes out what must not travel (Bcc, and
// Return-Path, which only final delivery may write: RFC 5321 §4.4), adds Date and Message-ID
// where they are missing (RFC 6409 §8.2, §8.3), and puts Received on top.
//
// Received has no "for" clause, which would show the recipients to each other, and does not
// name the user.
func (h *Header) Complete(s Submission) {
	h.remove(func(f field) bool {
		switch f.name {
		case "bcc", "resent-bcc", "return-path":
			return true
		case "message-id", "date":
			return f.value() == ""
		}
		return false
	})
	date := s.Time.UTC().Format(dateLayout)
	if h.Count("Date") == 0 {
		h.add("Date", date)
	}
	if h.Count("Message-ID") == 0 {
		h.add("Message-ID", "<"+s.QueueID+"@"+s.Hostname+">")
	}
	received := field{name: "received", raw: []byte(s.received(date))}
	h.fields = append([]field{received}, h.fields...)
}

func (h *Header) add(name, value string) {
	h.fields = append(h.fields, field{name: strings.ToLower(name), raw: []byte(name + ": " + value + "\r\n")})
}

// received is the trace field (RFC 5321 §4.4), "with" from RFC 3848 and RFC 6531 §4.3.
func (s Submission) received(date string) string {
	with := "ESMTPSA"
	if s.SMTPUTF8 {
		with = "UTF8SMTPSA"
	}
	return fmt.Sprintf("Received: from %s (%s)\r\n\tby %s with %s (%s)\r\n\tid %s; %s\r\n",
		cleanName(s.ClientName), addressLiteral(s.ClientAddress), s.Hostname, with, s.TLS, s.QueueID, date)
}

// cleanName makes an EHLO argument safe in a header field: clients send anything there.
func cleanName(name string) string {
	if name == "" {
		return "unknown"
	}
	if len(name) > maxDomain {
		name = name[:maxDomain]
	}
	return strings.Map(func(r rune) rune {
		if isLetterDigit(r) || strings.ContainsRune("-._:[]", r) {
			return r
		}
		return '?'
	}, name)
}

// addressLiteral is RFC 5321 §4.1.3.
func addressLiteral(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	switch {
	case a.Is4():
		return "[" + a.String() + "]"
	case a.Is6():
		return "[IPv6:" + a.String() + "]"
	}
	return "unknown"
}
