package dsn

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// types are the media types of a notification's parts.
func (p parsed) types() string {
	var types []string
	for _, part := range p.parts {
		types = append(types, part.contentType)
	}
	return strings.Join(types, " | ")
}

func TestWhatIsReturnedOfTheMessage(t *testing.T) {
	t.Parallel()
	const header, body = "From: shop@example.org\r\nSubject: Order\r\n", "secret body\r\n"
	full := func(r *Report) { r.Full = true }
	for name, test := range map[string]struct {
		change   func(*Report)
		message  string
		wantType string
		want     string
		eightBit bool
	}{
		"the header by default":   {func(*Report) {}, header + "\r\n" + body, "text/rfc822-headers", header, false},
		"the whole when asked":    {full, header + "\r\n" + body, "message/rfc822", header + "\r\n" + body, false},
		"8-bit content as it is":  {full, header + "\r\nSchöne Grüße\r\n", "message/rfc822", header + "\r\nSchöne Grüße\r\n", true},
		"the largest that may be": {full, header + "\r\n" + strings.Repeat("x\r\n", (MaxReturned-len(header)-2)/3), "message/rfc822", header + "\r\n" + strings.Repeat("x\r\n", (MaxReturned-len(header)-2)/3), false},
		"one that is too large":   {full, header + "\r\n" + strings.Repeat("x\r\n", MaxReturned/3), "text/rfc822-headers", header, false},
		"the header when nothing failed": {func(r *Report) {
			r.Full, r.Recipients[0].Outcome = true, spool.Pending
		}, header + "\r\n" + body, "text/rfc822-headers", header, false},
		"an 8-bit header": {func(*Report) {}, "Subject: \xfc\r\n\r\n", "text/rfc822-headers", "Subject: \xfc\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := write(t, report(test.change, func(r *Report) { r.Message = strings.NewReader(test.message) }))
			checkLines(t, p.raw, test.eightBit)
			if got := p.parts[2]; got.contentType != test.wantType || got.body != test.want {
				t.Errorf("%s: %.200q", got.contentType, got.body)
			}
			if got := p.header.Get("Content-Transfer-Encoding"); (got == "8bit") != test.eightBit {
				t.Errorf("encoding %q", got)
			}
		})
	}
}

func TestReportHasWhatTheClientGave(t *testing.T) {
	t.Parallel()
	p := write(t, report(func(r *Report) {
		r.Envelope.EnvelopeID = "order 4711  +=" + strings.Repeat("x", 86)
		r.RemoteMTA = "smtp.provider.example"
		r.Recipients[0].OriginalRecipient = `rfc822;"Bob  B"@example.net`
		r.Recipients = append(r.Recipients,
			spool.Recipient{Address: "a@example.net", Outcome: spool.Expired, OriginalRecipient: "utf-8;jürgen@例え.jp"},
			spool.Recipient{Address: "b@example.net", Outcome: spool.Bounced, Reply: "too large for the upstream"})
	}))
	checkLines(t, p.raw, false)
	groups := p.fields(t)
	if got := groups[0].Get("Original-Envelope-Id"); got != "order 4711  +="+strings.Repeat("x", 86) {
		t.Errorf("envelope id %q", got)
	}
	for i, want := range []string{`rfc822; "Bob  B"@example.net`, `utf-8; j\x{FC}rgen@\x{4F8B}\x{3048}.jp`, ""} {
		if got := groups[i+1].Get("Original-Recipient"); got != want {
			t.Errorf("original recipient %q, want %q", got, want)
		}
	}
	for i, want := range []string{"dns; smtp.provider.example", "", ""} {
		if got := groups[i+1].Get("Remote-Mta"); got != want {
			t.Errorf("remote MTA %q, want %q: what no server said has none", got, want)
		}
	}
}

func TestRemoteMTAMayBeAnAddress(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"192.0.2.1": "dns; [192.0.2.1]", "2001:db8::1": "dns; [2001:db8::1]", "a\r\nb": "", "": "",
	} {
		if got := write(t, report(func(r *Report) { r.RemoteMTA = host })).fields(t)[1].Get("Remote-Mta"); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}

func TestFieldsAreInTheOrderOfTheStandard(t *testing.T) {
	t.Parallel()
	p := write(t, report(func(r *Report) {
		r.Envelope.EnvelopeID, r.RemoteMTA, r.RetryUntil = "id", "smtp.provider.example", accepted
		r.Recipients[0].OriginalRecipient, r.Recipients[0].Outcome = "rfc822;bob@example.net", spool.Pending
	}))
	at := -1
	for _, name := range []string{
		"Original-Envelope-Id", "Reporting-MTA", "Arrival-Date", "X-MailRelay-Queue-ID",
		"Original-Recipient", "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code",
		"Last-Attempt-Date", "Will-Retry-Until",
	} {
		i := strings.Index(p.parts[1].body, name+": ")
		if i < at {
			t.Errorf("%s is at %d, the field before it at %d, in %q", name, i, at, p.parts[1].body)
		}
		at = i
	}
}

func TestOneReportCanSayDifferentThings(t *testing.T) {
	t.Parallel()
	p := write(t, report(func(r *Report) {
		r.RetryUntil = accepted.Add(5 * 24 * time.Hour)
		for i := range 60 {
			r.Recipients = append(r.Recipients, spool.Recipient{
				Address: fmt.Sprintf("u%d@example.net", i), Outcome: spool.Delivered, Reply: "250 2.6.0 Queued as 7",
			})
		}
		r.Recipients = append(r.Recipients, spool.Recipient{Address: "late@example.net"})
	}))
	text := strings.Join(strings.Fields(p.parts[0].body), " ")
	for _, want := range []string{
		"could not be delivered to: bob@example.net", "could not be delivered yet to: late@example.net",
		"handed on to a server that confirms no deliveries, for: u0@example.net", "and 10 more",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %q", want, text)
		}
	}
	if strings.Contains(text, "u50@") {
		t.Error("more than 50 are listed")
	}
	groups := p.fields(t)
	if got := groups[1].Get("Action") + groups[2].Get("Action") + groups[62].Get("Action"); got != "failedrelayeddelayed" {
		t.Errorf("actions %s", got)
	}
	if groups[2].Get("Will-Retry-Until") != "" || groups[62].Get("Will-Retry-Until") == "" {
		t.Error("only what is late is tried again")
	}
	if p.header.Get("Subject") != "Mail could not be delivered" {
		t.Errorf("subject %s", p.header.Get("Subject"))
	}
}

func TestRelayedIsNoBadNews(t *testing.T) {
	t.Parallel()
	p := write(t, report(func(r *Report) { r.Recipients[0].Outcome, r.Recipients[0].Reply = spool.Delivered, "250 Ok" }))
	text := strings.Join(strings.Fields(p.parts[0].body), " ")
	if strings.Contains(text, "could not") || strings.Contains(p.header.Get("Subject"), "could not") || !strings.Contains(text, "handed on") {
		t.Errorf("%s: %s", p.header.Get("Subject"), text)
	}
}

func TestPostmasterIsToldOfWhatHasNoSender(t *testing.T) {
	t.Parallel()
	r := report(func(r *Report) {
		r.Envelope.ReversePath = ""
		r.Postmaster, r.From = "postmaster@example.org", "bounces@example.org"
	})
	p := write(t, r)
	for name, want := range map[string]string{
		"To": "<postmaster@example.org>", "From": "Mail Delivery System <bounces@example.org>", "Auto-Submitted": "auto-replied",
	} {
		if got := p.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	text := strings.Join(strings.Fields(p.parts[0].body), " ")
	if !strings.Contains(text, "as its postmaster") || strings.Contains(text, "Your message") {
		t.Errorf("text %q", text)
	}
}

func TestReportToAnInternationalAddress(t *testing.T) {
	t.Parallel()
	const header = "From: jürgen@example.org\r\nSubject: Bestellung für Müller\r\n"
	international := func(r *Report) {
		r.Envelope.ReversePath, r.Envelope.SMTPUTF8 = "jürgen@example.org", true
		r.Recipients[0].Address, r.Recipients[0].OriginalRecipient = "bøb@example.net", "utf-8;bøb@example.net"
		r.Recipients[0].Reply = "550 5.1.1 Kein Postfach für bøb"
		r.Message = strings.NewReader(header + "\r\nGrüße\r\n")
	}
	for name, test := range map[string]struct {
		change                     func(*Report)
		types, returned, recipient string
		utf8                       bool
	}{
		"header": {func(*Report) {}, "message/global-delivery-status | message/global-headers", header, "utf-8; bøb@example.net", true},
		"whole":  {func(r *Report) { r.Full = true }, "message/global-delivery-status | message/global", header + "\r\nGrüße\r\n", "utf-8; bøb@example.net", true},
		"header, to who has an ASCII address": {func(r *Report) { r.Envelope.ReversePath = "shop@example.org" },
			"message/delivery-status | message/global-headers", header, `utf-8; b\x{F8}b@example.net`, false},
		"whole, to who has an ASCII address": {func(r *Report) { r.Full, r.Envelope.ReversePath = true, "shop@example.org" },
			"message/delivery-status | message/global", header + "\r\nGrüße\r\n", `utf-8; b\x{F8}b@example.net`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := report(international, test.change)
			p := write(t, r)
			checkLines(t, p.raw, test.utf8)
			if r.SMTPUTF8() != test.utf8 || p.types() != "text/plain; charset=utf-8 | "+test.types {
				t.Errorf("SMTPUTF8 %v, parts %s", r.SMTPUTF8(), p.types())
			}
			if p.parts[2].body != test.returned {
				t.Errorf("returned %q", p.parts[2].body)
			}
			group := p.fields(t)[1]
			if group.Get("Final-Recipient") != test.recipient || group.Get("Original-Recipient") != test.recipient {
				t.Errorf("recipients %v", group)
			}
			if got := group.Get("Diagnostic-Code"); strings.Contains(got, "bøb") != test.utf8 {
				t.Errorf("diagnostic code %q", got)
			}
			if bytes.Contains(p.raw, []byte("Content-Transfer-Encoding: 8bit")) != test.utf8 {
				t.Error("8bit is said where it is not, or not where it is")
			}
		})
	}
}

func TestLongLinesOfAnInternationalHeaderAreEncoded(t *testing.T) {
	t.Parallel()
	header := "Subject: " + strings.Repeat("ü", maxLine) + "\r\n"
	p := write(t, report(func(r *Report) {
		r.Envelope.ReversePath, r.Envelope.SMTPUTF8 = "jürgen@example.org", true
		r.Message = strings.NewReader(header + "\r\n")
	}))
	checkLines(t, p.raw, true)
	if p.parts[2].body != header {
		t.Errorf("returned %q", p.parts[2].body)
	}
}
