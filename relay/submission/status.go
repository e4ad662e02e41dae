package submission

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-smtp"

	"github.com/mailrelay-dev/mailrelay-operator/relay/dsn"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// The longest values of ENVID and ORCPT (RFC 3461 §5.4), in octets as they are sent on.
const (
	maxENVID = 100
	maxORCPT = 500
)

// parameterRefusal is what a client is told of a parameter of MAIL or RCPT.
func parameterRefusal(text string) *refusal {
	return refuse(reasonParameter, 501, 5, 5, 4, text)
}

// checkEnvelopeID looks at what go-smtp decoded, which is printable ASCII.
func checkEnvelopeID(id string) *refusal {
	if len(dsn.Xtext(id)) > maxENVID {
		return parameterRefusal("ENVID is longer than 100 characters")
	}
	return nil
}

// statusRequest makes a recipient of what the client wants to be told of it.
func statusRequest(to string, opts *smtp.RcptOptions) (spool.Recipient, *refusal) {
	r := spool.Recipient{Address: to}
	words := make([]string, len(opts.Notify))
	for i, word := range opts.Notify {
		words[i] = string(word)
	}
	r.Notify = spool.Notify(strings.Join(words, ","))
	if opts.OriginalRecipient == "" {
		return r, nil
	}
	// go-smtp takes control characters and broken UTF-8 of the type utf-8, and forgets in which
	// case the type was written.
	if !utf8.ValidString(opts.OriginalRecipient) || strings.ContainsFunc(opts.OriginalRecipient, notShown) {
		return r, parameterRefusal("ORCPT has a character that cannot be shown")
	}
	r.OriginalRecipient = strings.ToLower(string(opts.OriginalRecipientType)) + ";" + opts.OriginalRecipient
	if len(dsn.ORCPT(r.OriginalRecipient, true)) > maxORCPT {
		return r, parameterRefusal("ORCPT is longer than 500 characters")
	}
	return r, nil
}

// notShown reports whether a character has no place in a field of a notification.
func notShown(c rune) bool { return c == utf8.RuneError || !unicode.IsPrint(c) }

// checkTwice refuses a command in which a parameter of notifications is given twice
// (RFC 3461 §4.5): go-smtp keeps the last one.
func (s *session) checkTwice(parameters ...string) *refusal {
	fields := strings.Fields(string(s.conn.line))
	for _, parameter := range parameters {
		seen := false
		for _, field := range fields {
			name, _, _ := strings.Cut(field, "=")
			if !strings.EqualFold(name, parameter) {
				continue
			}
			if seen {
				return parameterRefusal(parameter + " is given twice")
			}
			seen = true
		}
	}
	return nil
}
