package submission

import (
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mailrelay-dev/mailrelay-operator/relay/dsn"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

func TestWhatTheSenderWantsToBeToldIsStored(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.login()
	c.do("MAIL FROM:<app@example.com> RET=hdrs ENVID=QQ+20314159", "250 ")
	c.do(`RCPT TO:<bob@example.net> NOTIFY=delay,SUCCESS ORCPT=RFC822;Bob+2Bx@Example.net`, "250 ")
	c.do(`RCPT TO:<carol@example.net> ORCPT=utf-8;c\x{F6}@example.net`, "250 ")
	c.do("RCPT TO:<dana@example.net> NOTIFY=NEVER", "250 ")
	c.do("RCPT TO:<dana@example.net> NOTIFY=SUCCESS", "250 ") // the first one counts
	c.do("DATA", "354 ")
	c.do("From: app@example.com\r\n\r\n.", "250 ")
	// What was said of one message says nothing of the next.
	c.do("MAIL FROM:<app@example.com>", "250 ")
	c.do("RCPT TO:<bob@example.net>", "250 ")
	c.do("DATA", "354 ")
	c.do("From: app@example.com\r\n\r\n.", "250 ")
	messages := f.spool.messages()
	first := messages[0].envelope
	if first.Return != spool.ReturnHeaders || first.EnvelopeID != "QQ 314159" {
		t.Errorf("RET %q, ENVID %q", first.Return, first.EnvelopeID)
	}
	want := []spool.Recipient{
		{Address: "bob@example.net", Notify: "DELAY,SUCCESS", OriginalRecipient: "rfc822;Bob+x@Example.net"},
		{Address: "carol@example.net", OriginalRecipient: "utf-8;cö@example.net"},
		{Address: "dana@example.net", Notify: spool.NotifyNever},
	}
	if !reflect.DeepEqual(first.Recipients, want) {
		t.Errorf("recipients %+v", first.Recipients)
	}
	second := messages[1].envelope
	if second.Return != "" || second.EnvelopeID != "" || !reflect.DeepEqual(second.Recipients, []spool.Recipient{{Address: "bob@example.net"}}) {
		t.Errorf("the next message has %+v", second)
	}
}

func TestRefusedParameterIsOneLogLine(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.login()
	c.do("MAIL FROM:<app@example.com> ENVID="+strings.Repeat("x", 101), "501 5.5.4 ")
	if log := f.log.String(); strings.Count(log, `"reason":"parameter"`) != 1 {
		t.Errorf("log %s", log)
	}
}

// TestParametersAreNotedInPieces has the command come byte by byte, as it may.
func TestParametersAreNotedInPieces(t *testing.T) {
	t.Parallel()
	f, implicit, _ := behindFrontDoor(t)
	f.address = implicit
	c := f.login()
	for _, b := range []byte("MAIL FROM:<app@example.com> RET=FULL RET=HDRS\r\n") {
		c.send(string(b))
	}
	c.expect("501 5.5.4 RET is given twice")
	c.send("MAIL FROM:<app@example.com> RET=FULL\r\nRCPT TO:<bob@example.net> NOTIFY=NEVER\r\nRCPT TO:<bob@example.net> NOTIFY=NEVER NOTIFY=NEVER\r\n")
	c.expect("250 ")
	c.expect("250 ")
	c.expect("501 5.5.4 NOTIFY is given twice")
}

// FuzzStatusParameters gives values to RET, ENVID, NOTIFY and ORCPT. What is stored of them can
// be passed on and stand in a notification.
func FuzzStatusParameters(f *testing.F) {
	f.Add("FULL", "QQ314159", "SUCCESS,FAILURE", "rfc822;Bob@Example.net")
	f.Add("hdrs", "a+20b", "never", `utf-8;j\x{FC}rgen@example.net`)
	f.Add("", "+0D+0A", "NEVER,DELAY", "rfc822;+0D+0ADATA")
	f.Add("FULL RET=FULL", "a\u00a0b\u2028c", "DELAY\tDELAY", `utf-8;\x{2028}`)
	f.Add("x", "\xff", ",", "utf-8;\xff")
	fix, implicit, _ := behindFrontDoor(f)
	fix.address = implicit
	f.Fuzz(func(t *testing.T, ret, envelopeID, notify, original string) {
		mail := "MAIL FROM:<app@example.com> RET=" + ret + " ENVID=" + envelopeID
		rcpt := "RCPT TO:<bob@example.net> NOTIFY=" + notify + " ORCPT=" + original
		if strings.ContainsAny(mail+rcpt, "\r\n") || len(mail) > 4000 || len(rcpt) > 4000 {
			return
		}
		fix.t = t
		c := fix.login()
		defer c.conn.Close()
		_ = c.conn.SetDeadline(time.Now().Add(5 * time.Second))
		if !strings.HasPrefix(c.do(mail, ""), "250 ") || !strings.HasPrefix(c.do(rcpt, ""), "250 ") {
			return
		}
		c.do("DATA", "354 ")
		c.do("From: app@example.com\r\n\r\n.", "250 ")
		for _, m := range fix.spool.take() {
			checkStatus(t, &m.envelope)
		}
		if log := fix.log.take(); strings.Contains(log, "panic") {
			t.Fatal(log)
		}
	})
}

// checkStatus wants what RFC 3461 §4 allows.
func checkStatus(t *testing.T, e *spool.Envelope) {
	t.Helper()
	r := e.Recipients[0]
	ascii := func(c rune) bool { return c < ' ' || c > '~' }
	kind, address, _ := strings.Cut(r.OriginalRecipient, ";")
	switch {
	case e.Return != "" && e.Return != spool.ReturnFull && e.Return != spool.ReturnHeaders:
		t.Fatalf("RET %q", e.Return)
	case strings.ContainsFunc(e.EnvelopeID, ascii) || len(dsn.Xtext(e.EnvelopeID)) > 100:
		t.Fatalf("ENVID %q", e.EnvelopeID)
	case r.Notify != "" && !r.Notify.Valid():
		t.Fatalf("NOTIFY %q", r.Notify)
	case r.OriginalRecipient == "":
	case kind == dsn.TypeRFC822 && !strings.ContainsFunc(address, ascii) && len(r.OriginalRecipient) <= 500:
	case kind == dsn.TypeUTF8 && utf8.ValidString(address) && !strings.ContainsFunc(address, func(c rune) bool { return !unicode.IsPrint(c) }):
	default:
		t.Fatalf("ORCPT %q", r.OriginalRecipient)
	}
}
