package dsn

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message"

	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

var accepted = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// report returns a failure about bob.
func report(change ...func(*Report)) Report {
	r := Report{
		Hostname: "relay.example.org",
		ID:       "01m86ga1zzkeytzb4j7s",
		Envelope: &spool.Envelope{
			ID: "01m86ga1zzkeytzb4j00", Accepted: accepted, User: "web.shop",
			ReversePath: "shop@example.org", MessageID: "<1@example.org>",
		},
		Recipients: []spool.Recipient{{
			Address: "bob@example.net", Outcome: spool.Bounced,
			Reply: "550 5.1.1 No such user", OutcomeTime: accepted.Add(time.Minute),
		}},
		Now:     accepted.Add(time.Hour),
		Message: strings.NewReader("From: shop@example.org\r\nSubject: Order\r\n\r\nsecret body\r\n"),
	}
	for _, f := range change {
		f(&r)
	}
	return r
}

// decoded is a decoded body part.
type decoded struct {
	contentType string
	body        string
}

// parsed is a notification as independent parsers see it.
type parsed struct {
	raw    []byte
	header mail.Header
	parts  []decoded
}

// write writes the notification and parses it with net/mail and mime/multipart, and once
// more with go-message, which must agree.
func write(t *testing.T, r Report) parsed {
	t.Helper()
	var out bytes.Buffer
	n, err := r.WriteTo(&out)
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(out.Len()) {
		t.Errorf("WriteTo reports %d bytes, wrote %d", n, out.Len())
	}
	p := parsed{raw: bytes.Clone(out.Bytes())}
	message, err := mail.ReadMessage(bytes.NewReader(p.raw))
	if err != nil {
		t.Fatal(err)
	}
	p.header = message.Header
	mediaType, params, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Fatalf("content type %q %v, %v", mediaType, params, err)
	}
	reader := multipart.NewReader(message.Body, params["boundary"])
	for {
		next, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(next)
		if err != nil {
			t.Fatal(err)
		}
		p.parts = append(p.parts, decoded{next.Header.Get("Content-Type"), string(body)})
	}
	p.agree(t)
	return p
}

// agree compares with what go-message reads.
func (p parsed) agree(t *testing.T) {
	t.Helper()
	entity, err := message.Read(bytes.NewReader(p.raw))
	if err != nil {
		t.Fatal(err)
	}
	parts := entity.MultipartReader()
	for i, want := range p.parts {
		next, err := parts.NextPart()
		if err != nil {
			t.Fatalf("part %d: %v", i, err)
		}
		body, err := io.ReadAll(next.Body)
		if err != nil {
			t.Fatal(err)
		}
		if string(body) != want.body {
			t.Errorf("part %d: go-message reads %q, net/mail %q", i, body, want.body)
		}
	}
	if _, err := parts.NextPart(); !errors.Is(err, io.EOF) {
		t.Errorf("more parts: %v", err)
	}
}

// fields parses the groups of fields of the delivery report.
func (p parsed) fields(t testing.TB) []textproto.MIMEHeader {
	t.Helper()
	var groups []textproto.MIMEHeader
	in := textproto.NewReader(bufio.NewReader(strings.NewReader(p.parts[1].body)))
	for {
		group, err := in.ReadMIMEHeader()
		if len(group) > 0 {
			groups = append(groups, group)
		}
		if errors.Is(err, io.EOF) {
			return groups
		}
		if err != nil {
			t.Fatalf("%v in %q", err, p.parts[1].body)
		}
	}
}

// checkLines asserts what RFC 5321 and RFC 5322 ask of lines.
func checkLines(t testing.TB, raw []byte, eightBit bool) {
	t.Helper()
	if !bytes.HasSuffix(raw, []byte("\r\n")) {
		t.Error("the last line has no end")
	}
	for i, l := range bytes.Split(raw, []byte("\r\n")) {
		if len(l) > maxLine {
			t.Errorf("line %d has %d octets", i, len(l))
		}
		for _, c := range l {
			if c != '\t' && c < ' ' || c == 0x7f || c > 0x7f && !eightBit {
				t.Fatalf("line %d has the octet %#x: %q", i, c, l)
			}
		}
	}
}

func TestFailureIsAReportThatMailProgramsUnderstand(t *testing.T) {
	t.Parallel()
	p := write(t, report())
	checkLines(t, p.raw, false)
	for name, want := range map[string]string{
		"From":           "Mail Delivery System <MAILER-DAEMON@relay.example.org>",
		"To":             "<shop@example.org>",
		"Subject":        "Mail could not be delivered",
		"Date":           "Wed, 02 Jan 2030 04:04:05 +0000",
		"Message-Id":     "<01m86ga1zzkeytzb4j7s@relay.example.org>",
		"In-Reply-To":    "<1@example.org>",
		"References":     "<1@example.org>",
		"Auto-Submitted": "auto-replied",
		"Mime-Version":   "1.0",
	} {
		if got := p.header[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	var types []string
	for _, part := range p.parts {
		types = append(types, part.contentType)
	}
	if got, want := strings.Join(types, " | "), "text/plain; charset=utf-8 | message/delivery-status | text/rfc822-headers"; got != want {
		t.Errorf("parts %s, want %s", got, want)
	}
	if want := "From: shop@example.org\r\nSubject: Order\r\n"; p.parts[2].body != want {
		t.Errorf("original header %q, want %q", p.parts[2].body, want)
	}
	if bytes.Contains(p.raw, []byte("secret body")) {
		t.Error("the body was returned")
	}
}

func TestTextSaysWhatHappenedAndWhatToDo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*Report)
		want   []string
	}{
		"failure": {func(*Report) {}, []string{
			"relay.example.org", "could not be delivered to:", "bob@example.net", "550 5.1.1 No such user",
			"Check the address", "01m86ga1zzkeytzb4j00", "<1@example.org>", "Wed, 02 Jan 2030 03:04:05 +0000",
		}},
		"expired": {func(r *Report) {
			r.Recipients[0].Outcome, r.Recipients[0].Reply = spool.Expired, "connect: no answer from the upstream"
		}, []string{"no answer from the upstream", "Send the message again later"}},
		"too large": {func(r *Report) { r.Recipients[0].Reply = "552 5.3.4 Too big" }, []string{"Send a smaller one"}},
		"policy":    {func(r *Report) { r.Recipients[0].Reply = "550 5.7.1 Denied" }, []string{"refused by a rule"}},
		"no code":   {func(r *Report) { r.Recipients[0].Reply = "" }, []string{"administrator"}},
		"delay": {func(r *Report) {
			r.Recipients[0].Outcome, r.RetryUntil = spool.Pending, accepted.Add(5*24*time.Hour)
		}, []string{"Your message could not be delivered yet", "until Mon, 07 Jan 2030 03:04:05 +0000", "Do not send the message again"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Join(strings.Fields(write(t, report(test.change)).parts[0].body), " ")
			for _, want := range test.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q is missing in %q", want, text)
				}
			}
		})
	}
}

func TestDeliveryReportHasAGroupPerRecipient(t *testing.T) {
	t.Parallel()
	p := write(t, report(func(r *Report) {
		for i := range 120 {
			r.Recipients = append(r.Recipients, spool.Recipient{Address: fmt.Sprintf("u%d@example.net", i), Outcome: spool.Bounced})
		}
	}))
	groups := p.fields(t)
	if len(groups) != 122 {
		t.Fatalf("%d groups, want 122", len(groups))
	}
	for name, want := range map[string]string{
		"Reporting-Mta": "dns; relay.example.org", "X-Mailrelay-Queue-Id": "01m86ga1zzkeytzb4j00",
		"Arrival-Date": "Wed, 02 Jan 2030 03:04:05 +0000",
	} {
		if got := groups[0].Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{
		"Final-Recipient": "rfc822; bob@example.net", "Action": "failed", "Status": "5.1.1",
		"Diagnostic-Code": "smtp; 550 5.1.1 No such user", "Last-Attempt-Date": "Wed, 02 Jan 2030 03:05:05 +0000",
	} {
		if got := groups[1].Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := groups[121].Get("Final-Recipient"); got != "rfc822; u119@example.net" {
		t.Errorf("last recipient %q", got)
	}
	if !strings.Contains(p.parts[0].body, "and 71 more") {
		t.Error("the text does not say that there are more")
	}
}

func TestNoNotificationOfANotification(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := report(func(r *Report) { r.Envelope.ReversePath = "" })
	if n, err := r.WriteTo(&out); !errors.Is(err, ErrNullReversePath) || n != 0 || out.Len() != 0 {
		t.Errorf("%d bytes, %v, want ErrNullReversePath", n, err)
	}
}

func TestReportsThatCannotBeWrittenAreRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Report){
		"no recipients":         func(r *Report) { r.Recipients = nil },
		"line end in host":      func(r *Report) { r.Hostname = "a\r\nBcc: x@example.org" },
		"no host":               func(r *Report) { r.Hostname = "" },
		"line end in id":        func(r *Report) { r.ID = "a\r\nb" },
		"line end in sender":    func(r *Report) { r.Envelope.ReversePath = "a@b\r\nBcc: x@example.org" },
		"second address":        func(r *Report) { r.Postmaster = "a@example.org, b@example.org" },
		"postmaster with no at": func(r *Report) { r.Postmaster = "nobody" },
		"line end in from":      func(r *Report) { r.From = "a@b\r\nBcc: x@example.org" },
		"unreadable original":   func(r *Report) { r.Message = failingReader{} },
		"control in recipient":  func(r *Report) { r.Envelope.ReversePath = "a\x00b@example.org" },
	} {
		var out bytes.Buffer
		if _, err := report(change).WriteTo(&out); err == nil || out.Len() > 0 {
			t.Errorf("%s: %v, wrote %q", name, err, out.String())
		}
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

func TestMessageIDIsUniqueWhenNoneIsGiven(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for range 10 {
		id := write(t, report(func(r *Report) { r.ID = "" })).header.Get("Message-Id")
		if seen[id] || !strings.HasSuffix(id, "@relay.example.org>") || len(id) < 30 {
			t.Errorf("Message-ID %q", id)
		}
		seen[id] = true
	}
}

func TestReferencesAreLeftOutForABrokenMessageID(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "<>", "no brackets", "<a b@c>", "<a@b>\r\nBcc: <x@y>", "<ü@example.org>", "<" + strings.Repeat("a", 2000) + ">"} {
		p := write(t, report(func(r *Report) { r.Envelope.MessageID = id }))
		checkLines(t, p.raw, false)
		if got := p.header.Get("References"); got != "" || p.header.Get("Bcc") != "" {
			t.Errorf("%q: References %q, Bcc %q", id, got, p.header.Get("Bcc"))
		}
	}
}
