package message

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

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
	// User is the SASL user name to show in Received; empty shows none.
	User string
	// Sender is the address of the From field when there is none; empty adds none.
	Sender string
	// Drop are names of further header fields to take out.
	Drop []string
	// Time of acceptance.
	Time time.Time
}

// dateLayout is date-time of RFC 5322 §3.3.
const dateLayout = "Mon, 2 Jan 2006 15:04:05 -0700"

// Complete makes the header fit to leave: it takes out what must not travel, adds Date,
// Message-ID (RFC 6409 §8.2, §8.3) and From where they are missing, and puts Received on top.
//
// Received has no "for" clause, which would show the recipients to each other.
func (h *Header) Complete(s Submission) {
	h.remove(s.unwanted)
	date := s.Time.UTC().Format(dateLayout)
	if h.Count("From") == 0 && s.Sender != "" {
		h.add("From", s.Sender)
	}
	if h.Count("Date") == 0 {
		h.add("Date", date)
	}
	if h.Count("Message-ID") == 0 {
		h.add("Message-ID", "<"+s.QueueID+"@"+s.Hostname+">")
	}
	received := field{name: "received", raw: []byte(s.received(date))}
	h.fields = append([]field{received}, h.fields...)
}

// unwanted reports whether a field must not travel: private ones; Return-Path, which only
// final delivery may write (RFC 5321 §4.4); Content-Length, which is wrong as soon as a field
// is added and makes some readers cut the body off; and a result of an authentication that we
// did not make (RFC 8601 §5). A field that says nothing is as good as missing.
func (s Submission) unwanted(f field) bool {
	if isBcc(f.name) {
		return true
	}
	switch f.name {
	case "return-path", "content-length":
		return true
	case "message-id", "date", "from":
		return f.value() == ""
	case "authentication-results":
		return strings.EqualFold(authenticator(f.value()), s.Hostname)
	}
	return slices.ContainsFunc(s.Drop, func(name string) bool { return strings.EqualFold(name, f.name) })
}

// authenticator is the authserv-id of an Authentication-Results field (RFC 8601 §2.2): its
// first word, which may be in quotes and have comments before it.
func authenticator(value string) string {
	value = withoutComments(value)
	id := ""
	if quoted, ok := strings.CutPrefix(value, `"`); ok {
		id = strings.TrimSpace(unquote(quoted))
	} else if end := strings.IndexFunc(value, endsToken); end >= 0 {
		id = value[:end]
	} else {
		id = value
	}
	return strings.TrimSuffix(id, ".")
}

// withoutComments is what follows the comments and white space that value begins with
// (RFC 5322 §3.2.2).
func withoutComments(value string) string {
	depth := 0
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case depth > 0 && c == '\\':
			i++
		case c == '(':
			depth++
		case depth > 0 && c == ')':
			depth--
		case depth == 0 && c != ' ' && c != '\t':
			return value[i:]
		}
	}
	return ""
}

// unquote is a quoted-string (RFC 5322 §3.2.4) from behind its first quote, up to its last.
func unquote(s string) string {
	var b strings.Builder
	for i := 0; i < len(s) && s[i] != '"'; i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// endsToken reports whether r ends a token (RFC 2045 §5.1).
func endsToken(r rune) bool { return strings.ContainsRune(" \t()<>@,;:\\\"/[]?=", r) }

func (h *Header) add(name, value string) {
	h.fields = append(h.fields, field{name: strings.ToLower(name), raw: []byte(name + ": " + value + "\r\n")})
}

// received is the trace field (RFC 5321 §4.4), "with" from RFC 3848 and RFC 6531 §4.3.
func (s Submission) received(date string) string {
	with := "ESMTPSA"
	if s.SMTPUTF8 {
		with = "UTF8SMTPSA"
	}
	user := ""
	if s.User != "" {
		user = "\r\n\t(authenticated as " + cleanName(s.User) + ")"
	}
	return fmt.Sprintf("Received: from %s (%s)%s\r\n\tby %s with %s (%s)\r\n\tid %s; %s\r\n",
		cleanName(s.ClientName), addressLiteral(s.ClientAddress), user, s.Hostname, with, s.TLS, s.QueueID, date)
}

// cleanName makes what a client sends as its name safe in a header field.
func cleanName(name string) string {
	if name == "" {
		return "unknown"
	}
	if len(name) > maxDomain {
		name = name[:maxDomain]
	}
	return strings.Map(func(r rune) rune {
		if isLetterDigit(r) || strings.ContainsRune("-._:[]@+", r) {
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
