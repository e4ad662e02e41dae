package dsn

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// replyCodes are the codes at the beginning of a reply: the basic one (RFC 5321 §4.2) and
// the enhanced one (RFC 3463 §2), which may be missing.
var replyCodes = regexp.MustCompile(`^([2-5])[0-9]{2}(?:[ -]+([245]\.[0-9]{1,3}\.[0-9]{1,3}))?(?: |$)`)

// statusExpired is RFC 3463's "delivery time expired".
const statusExpired = "4.4.7"

// statusOf returns the enhanced status code of a recipient. Its class follows from what
// happened, not from what an upstream says happened.
func (r Report) statusOf(recipient spool.Recipient) string {
	if r.Kind == Failure && recipient.Outcome == spool.Expired {
		return statusExpired
	}
	class := "5"
	if r.Kind == Delay {
		class = "4"
	}
	codes := replyCodes.FindStringSubmatch(ascii(recipient.Reply))
	if codes != nil && strings.HasPrefix(codes[2], class) {
		return codes[2]
	}
	return class + ".0.0"
}

// status is the content of the message/delivery-status part (RFC 3464 §2).
func (r Report) status() []byte {
	out := new(bytes.Buffer)
	writeField(out, "Reporting-MTA", "dns; "+r.Hostname)
	writeField(out, "X-MailRelay-Queue-ID", ascii(r.Envelope.ID))
	if !r.Envelope.Accepted.IsZero() {
		writeField(out, "Arrival-Date", r.Envelope.Accepted.Format(time.RFC1123Z))
	}
	for _, recipient := range r.Recipients {
		out.WriteString("\r\n")
		r.writeRecipient(out, recipient)
	}
	return out.Bytes()
}

func (r Report) writeRecipient(out *bytes.Buffer, recipient spool.Recipient) {
	writeField(out, "Final-Recipient", typedAddress(recipient.Address))
	action := "failed"
	if r.Kind == Delay {
		action = "delayed"
	}
	writeField(out, "Action", action)
	writeField(out, "Status", r.statusOf(recipient))
	if reply := ascii(recipient.Reply); reply != "" {
		writeField(out, "Diagnostic-Code", diagnosticType(reply)+"; "+reply)
	}
	if !recipient.OutcomeTime.IsZero() {
		writeField(out, "Last-Attempt-Date", recipient.OutcomeTime.Format(time.RFC1123Z))
	}
	if r.Kind == Delay && !r.RetryUntil.IsZero() {
		writeField(out, "Will-Retry-Until", r.RetryUntil.Format(time.RFC1123Z))
	}
}

// diagnosticType tells a reply of an upstream from the relay's own words.
func diagnosticType(reply string) string {
	if replyCodes.MatchString(reply) {
		return "smtp"
	}
	return "x-mailrelay"
}

// typedAddress is an address with its type. Addresses that need it are of the type utf-8
// and, since the part has 7-bit lines, in the form utf-8-addr-xtext (RFC 6533 §3).
func typedAddress(address string) string {
	if isASCII(address) {
		return "rfc822; " + ascii(address)
	}
	var out strings.Builder
	for _, c := range plain(address) {
		if c > ' ' && c <= '~' && !strings.ContainsRune(`+=\`, c) {
			out.WriteRune(c)
		} else {
			fmt.Fprintf(&out, `\x{%02X}`, c)
		}
	}
	return "utf-8; " + out.String()
}
