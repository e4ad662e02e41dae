package dsn

import (
	"bytes"
	"net/netip"
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

// action is what a notification says of a recipient (RFC 3464 §2.3.3).
type action string

const (
	failed  action = "failed"
	delayed action = "delayed"
	relayed action = "relayed"
)

// actionOf follows from what became of the recipient. A relay hands mail on and sees no
// mailbox, so nothing is ever "delivered".
func actionOf(recipient spool.Recipient) action {
	switch recipient.Outcome {
	case spool.Pending:
		return delayed
	case spool.Delivered:
		return relayed
	}
	return failed
}

// statusOf returns the enhanced status code of a recipient. Its class follows from what
// happened, not from what an upstream says happened.
func statusOf(recipient spool.Recipient) string {
	if recipient.Outcome == spool.Expired {
		return statusExpired
	}
	class := map[action]string{failed: "5", delayed: "4", relayed: "2"}[actionOf(recipient)]
	codes := replyCodes.FindStringSubmatch(ascii(recipient.Reply))
	if codes != nil && strings.HasPrefix(codes[2], class) {
		return codes[2]
	}
	return class + ".0.0"
}

// status is the content of the message/delivery-status part (RFC 3464 §2), or of
// message/global-delivery-status (RFC 6533 §4.1).
func (r Report) status() []byte {
	out := new(bytes.Buffer)
	if id := r.Envelope.EnvelopeID; id != "" {
		writeValue(out, "Original-Envelope-Id", oneLine(id, isASCIIPrint))
	}
	writeField(out, "Reporting-MTA", "dns; "+r.Hostname)
	if !r.Envelope.Accepted.IsZero() {
		writeField(out, "Arrival-Date", r.Envelope.Accepted.Format(time.RFC1123Z))
	}
	writeField(out, "X-MailRelay-Queue-ID", ascii(r.Envelope.ID))
	for _, recipient := range r.Recipients {
		out.WriteString("\r\n")
		r.writeRecipient(out, recipient)
	}
	return out.Bytes()
}

func (r Report) writeRecipient(out *bytes.Buffer, recipient spool.Recipient) {
	if original := recipient.OriginalRecipient; original != "" {
		writeValue(out, "Original-Recipient", r.originalRecipient(original))
	}
	writeField(out, "Final-Recipient", r.finalRecipient(recipient.Address))
	writeField(out, "Action", string(actionOf(recipient)))
	writeField(out, "Status", statusOf(recipient))
	if reply := r.diagnostic(recipient.Reply); reply != "" {
		kind := diagnosticType(reply)
		if host := mtaName(r.RemoteMTA); host != "" && kind == diagnosticSMTP {
			writeField(out, "Remote-MTA", "dns; "+host)
		}
		writeField(out, "Diagnostic-Code", kind+"; "+reply)
	}
	if !recipient.OutcomeTime.IsZero() {
		writeField(out, "Last-Attempt-Date", recipient.OutcomeTime.Format(time.RFC1123Z))
	}
	if actionOf(recipient) == delayed && !r.RetryUntil.IsZero() {
		writeField(out, "Will-Retry-Until", r.RetryUntil.Format(time.RFC1123Z))
	}
}

// diagnostic is a reply as the delivery report can hold it.
func (r Report) diagnostic(reply string) string {
	if r.SMTPUTF8() {
		return plain(reply)
	}
	return ascii(reply)
}

const diagnosticSMTP = "smtp"

// diagnosticType tells a reply of an upstream from the relay's own words.
func diagnosticType(reply string) string {
	if replyCodes.MatchString(reply) {
		return diagnosticSMTP
	}
	return "x-mailrelay"
}

// mtaName is a host as the type "dns" has it (RFC 3461 §9.3), empty for what is none.
func mtaName(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return "[" + host + "]"
	}
	if !safeToken(host) {
		return ""
	}
	return host
}

// finalRecipient is an address of the envelope with its type.
func (r Report) finalRecipient(address string) string {
	if isASCII(address) {
		return TypeRFC822 + "; " + ascii(address)
	}
	return TypeUTF8 + "; " + r.utf8Recipient(plain(address))
}

// originalRecipient is what the client gave as ORCPT.
func (r Report) originalRecipient(original string) string {
	addressType, address, _ := strings.Cut(original, ";")
	if addressType == TypeUTF8 {
		return TypeUTF8 + "; " + r.utf8Recipient(address)
	}
	return ascii(addressType) + "; " + oneLine(address, isASCIIPrint)
}

// utf8Recipient is an address as it is, in a part that can hold it, and in a form of 7 bits in
// one that cannot (RFC 6533 §3, §4.1).
func (r Report) utf8Recipient(address string) string {
	if r.SMTPUTF8() {
		return oneLine(address, isPrint)
	}
	return utf8Address(address, false)
}
