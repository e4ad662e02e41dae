package dsn

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// maxListed is how many recipients the text names; the delivery report has them all.
const maxListed = 50

// advice tells what to do about a refusal, by the beginning of its enhanced status code.
// The first row that fits counts.
var advice = []struct{ status, text string }{
	{"4.4.7", "No answer that settled it came in time. Send the message again later; if that fails too, show this notification to the administrator of the relay."},
	{"5.1.8", "The sender's address was refused. Use one that the mail provider knows."},
	{"5.1.7", "The sender's address was refused. Use one that the mail provider knows."},
	{"5.1", "Check the address for a spelling mistake, and whether it still exists."},
	{"5.2.2", "The mailbox is full. Send the message again later, or reach the recipient in another way."},
	{"5.2.3", "The message is too large. Send a smaller one, or a link in place of the attachment."},
	{"5.3.4", "The message is too large. Send a smaller one, or a link in place of the attachment."},
	{"5.7", "The message was refused by a rule: of the mail provider or of the recipient's mail system. The reply above says which; show it to the administrator of the relay if it is not clear."},
	{"5", "The reply above gives the reason. If it is not clear, show this notification to the administrator of the relay."},
}

// headings say of the message what became of the recipients that follow, in the order
// of the text.
var headings = []struct {
	action action
	text   string
}{
	{failed, "could not be delivered to:"},
	{delayed, "could not be delivered yet to:"},
	{relayed, "was handed on to a server that confirms no deliveries, for:"},
}

// text is the content of the part for people (RFC 3464 §2, RFC 6522 §3).
func (r Report) text() []byte {
	out := new(bytes.Buffer)
	paragraph(out, "This is the mail relay "+r.Hostname+".")
	message := "Your message "
	if r.Postmaster != "" {
		message = "The message "
		paragraph(out, "You get this as its postmaster: the message has no sender who could be told, as a bounce has none.")
	}
	for _, heading := range headings {
		if r.has(heading.action) {
			r.section(out, heading.action, message+heading.text)
		}
	}
	r.identify(out)
	return out.Bytes()
}

// section tells of all recipients of whom the same is to be said.
func (r Report) section(out *bytes.Buffer, what action, heading string) {
	paragraph(out, heading)
	listed := 0
	for _, recipient := range r.Recipients {
		if actionOf(recipient) != what {
			continue
		}
		if listed++; listed <= maxListed {
			describe(out, recipient)
		}
	}
	if listed > maxListed {
		paragraph(out, fmt.Sprintf("and %d more, see the delivery report.", listed-maxListed))
	}
	switch what {
	case delayed:
		r.explainDelay(out)
	case relayed:
		paragraph(out, "You asked to be told of the delivery. That server does not tell; it sends a notification only if it fails.")
	}
}

// describe writes what became of one recipient and what to do.
func describe(out *bytes.Buffer, recipient spool.Recipient) {
	line(out, "    ", plain(recipient.Address))
	if reply := plain(recipient.Reply); reply != "" {
		line(out, "        ", "Last reply: "+reply)
	}
	if actionOf(recipient) == failed {
		line(out, "        ", adviceFor(statusOf(recipient)))
	}
	out.WriteString("\r\n")
}

func adviceFor(status string) string {
	for _, row := range advice {
		if status == row.status || strings.HasPrefix(status, row.status+".") {
			return row.text
		}
	}
	return ""
}

func (r Report) explainDelay(out *bytes.Buffer) {
	until := "."
	if !r.RetryUntil.IsZero() {
		until = ", until " + r.RetryUntil.Format(time.RFC1123Z) + "."
	}
	paragraph(out, "You need not do anything: the relay goes on trying"+until+" Do not send the message again, it would arrive twice.")
}

// identify names the message in the ways in which a log can be searched for it.
func (r Report) identify(out *bytes.Buffer) {
	line(out, "", "Queue id: "+plain(r.Envelope.ID))
	if id := plain(r.Envelope.MessageID); id != "" {
		line(out, "", "Message-ID: "+id)
	}
	if !r.Envelope.Accepted.IsZero() {
		line(out, "", "Accepted: "+r.Envelope.Accepted.Format(time.RFC1123Z))
	}
}

func paragraph(out *bytes.Buffer, text string) {
	line(out, "", text)
	out.WriteString("\r\n")
}

// line writes text, indented and folded.
func line(out *bytes.Buffer, indent, text string) {
	out.WriteString(indent + fold(text, textWidth-len(indent), "\r\n"+indent) + "\r\n")
}
