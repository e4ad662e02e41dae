package dsn

import (
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

func TestStatusFollowsWhatHappened(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		outcome    spool.Outcome
		reply      string
		want       string
		wantType   string
		wantAdvice string
	}{
		{spool.Bounced, "550 5.1.1 No such user", "5.1.1", "smtp", "Check the address"},
		{spool.Bounced, "550-5.7.26 Unauthenticated", "5.7.26", "smtp", "refused by a rule"},
		{spool.Bounced, "550 No such user", "5.0.0", "smtp", "The reply above"},
		{spool.Bounced, "552 5.2.2 Full", "5.2.2", "smtp", "mailbox is full"},
		{spool.Bounced, "550", "5.0.0", "smtp", "The reply above"},
		{spool.Bounced, "450 4.2.1 Try later", "5.0.0", "smtp", "The reply above"},
		{spool.Bounced, "5501.1.1 nonsense", "5.0.0", "x-mailrelay", "The reply above"},
		{spool.Bounced, "the message has 8-bit content", "5.0.0", "x-mailrelay", "The reply above"},
		{spool.Expired, "450 4.2.1 Try later", "4.4.7", "smtp", "again later"},
		{spool.Expired, "550 5.1.1 No such user", "4.4.7", "smtp", "again later"},
		{spool.Pending, "451 4.7.1 Greylisted", "4.7.1", "smtp", ""},
		{spool.Pending, "connect: timeout", "4.0.0", "x-mailrelay", ""},
		{spool.Pending, "550 5.1.1 No such user", "4.0.0", "smtp", ""},
		{spool.Delivered, "250 2.6.0 Queued as 1", "2.6.0", "smtp", ""},
		{spool.Delivered, "250 Ok", "2.0.0", "smtp", ""},
	} {
		r := report(func(r *Report) {
			r.Recipients[0].Outcome, r.Recipients[0].Reply = test.outcome, test.reply
		})
		p := write(t, r)
		group := p.fields(t)[1]
		if got := group.Get("Status"); got != test.want {
			t.Errorf("%q: status %s, want %s", test.reply, got, test.want)
		}
		if got, want := group.Get("Diagnostic-Code"), test.wantType+"; "+test.reply; got != want {
			t.Errorf("%q: diagnostic %q, want %q", test.reply, got, want)
		}
		text := strings.Join(strings.Fields(p.parts[0].body), " ")
		if !strings.Contains(text, test.wantAdvice) {
			t.Errorf("%q: %q is missing in %q", test.reply, test.wantAdvice, text)
		}
	}
}

func TestDelayHasItsOwnFields(t *testing.T) {
	t.Parallel()
	group := write(t, report(func(r *Report) {
		r.Recipients[0].Outcome, r.RetryUntil = spool.Pending, accepted.Add(5*24*time.Hour)
		r.Recipients[0].OutcomeTime = time.Time{}
	})).fields(t)[1]
	if group.Get("Action") != "delayed" || group.Get("Will-Retry-Until") != "Mon, 07 Jan 2030 03:04:05 +0000" || group.Get("Last-Attempt-Date") != "" {
		t.Errorf("fields %v", group)
	}
}

func TestInternationalAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"bob@example.net":       "rfc822; bob@example.net",
		"a+b=c@example.net":     "rfc822; a+b=c@example.net",
		"jürgen@example.net":    `utf-8; j\x{FC}rgen@example.net`,
		"a+ü@例え.jp":             `utf-8; a\x{2B}\x{FC}@\x{4F8B}\x{3048}.jp`,
		"\U0001F4E7@example.jp": `utf-8; \x{1F4E7}@example.jp`,
	} {
		r := report(func(r *Report) { r.Recipients[0].Address = address })
		p := write(t, r)
		checkLines(t, p.raw, false)
		if got := p.fields(t)[1].Get("Final-Recipient"); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
		if r.SMTPUTF8() {
			t.Errorf("%s: a recipient that is only told of does not need SMTPUTF8", address)
		}
		if !strings.Contains(p.parts[0].body, address) {
			t.Errorf("%s is missing in the text", address)
		}
	}
}

func TestInternationalSenderNeedsSMTPUTF8(t *testing.T) {
	t.Parallel()
	r := report(func(r *Report) { r.Envelope.ReversePath = "jürgen@example.org" })
	p := write(t, r)
	if !r.SMTPUTF8() || p.header.Get("To") != "<jürgen@example.org>" {
		t.Errorf("SMTPUTF8 %v, To %q", r.SMTPUTF8(), p.header.Get("To"))
	}
	checkLines(t, p.raw, true)
}
