package dsn

import (
	"bytes"
	"net/mail"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// FuzzReport lets an upstream choose its reply, and a client every address, its parameters and
// the message.
func FuzzReport(f *testing.F) {
	f.Add("550 5.1.1 No such user", "bob@example.net", "shop@example.org", "<1@example.org>", "Subject: x\r\n\r\n", "rfc822;bob@example.net", "QQ1", byte(0))
	f.Add("550 a\r\nAction: delivered\r\n\r\n--x", "b@c\r\nStatus: 2.0.0", "a@b", "<a>\r\nBcc: x@y", "\r\n.\r\n", "rfc822;a\r\nAction: x", "a\r\n\r\nb", byte(3))
	f.Add(strings.Repeat("x", 3000), strings.Repeat("ü", 900)+"@x", "ü@example.org", "", "A: "+strings.Repeat("y", 3000), "utf-8;"+strings.Repeat("ü", 900), "ü", byte(2))
	f.Add("\x00\x7f\u0085\u2028\xff", " ", "\"a b\"@example.org", "<\u2028>", "\xff\r\r\n", "\xff", "\u2028 \x00", byte(1))
	f.Fuzz(func(t *testing.T, reply, recipient, sender, messageID, message, original, envelopeID string, kind byte) {
		outcome := []spool.Outcome{spool.Bounced, spool.Expired, spool.Pending, spool.Delivered}[kind%4]
		r := report(func(r *Report) {
			r.Recipients[0] = spool.Recipient{Address: recipient, Outcome: outcome, Reply: reply, OriginalRecipient: original}
			r.Envelope.ReversePath, r.Envelope.MessageID, r.Envelope.EnvelopeID = sender, messageID, envelopeID
			r.Envelope.SMTPUTF8 = kind&4 != 0
			r.Message = strings.NewReader(message)
		})
		var out bytes.Buffer
		if _, err := r.WriteTo(&out); err != nil {
			if out.Len() > 0 {
				t.Fatalf("%v, but wrote %q", err, out.String())
			}
			return
		}
		checkLines(t, out.Bytes(), r.SMTPUTF8())
		r.Message = strings.NewReader(message)
		p := write(t, r)
		if len(p.header) > 11 || len(p.header["To"]) != 1 {
			t.Fatalf("header %v", p.header)
		}
		if to, err := mail.ParseAddress(p.header.Get("To")); err != nil || to.Address != sender {
			t.Fatalf("To %q is not %q: %v", p.header.Get("To"), sender, err)
		}
		groups := p.fields(t)
		if len(groups) != 2 || groups[1].Get("Action") != string(actionOf(r.Recipients[0])) || len(groups[1]["Status"]) != 1 || len(groups[0]) > 4 || len(groups[1]) > 5 {
			t.Fatalf("delivery report %q", p.parts[1].body)
		}
	})
}
