package message

import (
	"bytes"
	"mime"
	"net/mail"
	"slices"
	"strings"
	"testing"
)

func TestEncodeWordsMendsWhatPeopleRead(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ in, want string }{
		{"Subject: Grüße", "Subject: =?utf-8?b?R3LDvMOfZQ==?="},
		{"Subject:Grüße aus\r\n\tKöln (2) \r\n ", "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?= (2)"},
		{"SUBJECT : Re: 日本語", "SUBJECT: Re: =?utf-8?b?5pel5pys6Kqe?="},
		{"Subject: one ü two é three", "Subject: one =?utf-8?q?=C3=BC_two_=C3=A9?= three"},
		{"Subject: " + strings.Repeat("Grüße und mehr ", 6), "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_und_mehr_Gr=C3=BC=C3=9Fe_und_mehr_Gr?=\r\n" +
			" =?utf-8?q?=C3=BC=C3=9Fe_und_mehr_Gr=C3=BC=C3=9Fe_und_mehr_Gr?=\r\n =?utf-8?q?=C3=BC=C3=9Fe_und_mehr_Gr=C3=BC=C3=9Fe?= und mehr"},
		{"Organization: Müller", "Organization: =?utf-8?q?M=C3=BCller?="},
		{"From: Hans Müller <h@example.com>", "From: =?utf-8?q?Hans_M=C3=BCller?= <h@example.com>"},
		{"From: \"Müller, \\\"Hans\\\"\" <h@example.com>", "From: =?utf-8?q?M=C3=BCller=2C_=22Hans=22?= <h@example.com>"},
		{"From:Müller<h@example.com>", "From: =?utf-8?q?M=C3=BCller?= <h@example.com>"},
		{"Sender: h@example.com (Müller)", "Sender: h@example.com (=?utf-8?q?M=C3=BCller?=)"},
		{"Sender: h@example.com (\"M\\)üller)", "Sender: h@example.com (=?utf-8?q?=22M=29=C3=BCller?=)"},
		{"Reply-To: Jörg (Büro) <j@example.com>", "Reply-To: =?utf-8?q?J=C3=B6rg?= (=?utf-8?q?B=C3=BCro?=) <j@example.com>"},
		{"To: \"A, B\" <a@example.com>,\r\n Éva <e@example.com>, b@example.com", "To: \"A, B\" <a@example.com>, =?utf-8?q?=C3=89va?= <e@example.com>,\r\n b@example.com"},
		{"Cc: Büro: a@example.com, Ö <o@example.com>;", "Cc: =?utf-8?q?B=C3=BCro?= : a@example.com, =?utf-8?b?w5Y=?= <o@example.com>;"},
		{"Resent-From: \"ü@example.org\" <h@example.com>", "Resent-From: =?utf-8?q?=C3=BC=40example=2Eorg?= <h@example.com>"},
	} {
		h := headerOf(t, tc.in+"\r\n")
		h.EncodeWords()
		if got := string(h.fields[0].raw); got != tc.want+"\r\n" {
			t.Errorf("%q\nis   %q\nwant %q", tc.in, got, tc.want+"\r\n")
		}
	}
}

func TestEncodeWordsLeavesTheRest(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"ASCII":                        "Subject: plain\r\n  and folded\r\n",
		"not UTF-8":                    "Subject: Gr\xfc\xdfe\r\n",
		"encoded words beside it":      "Subject: =?utf-8?q?=C3=BC?= ü\r\n",
		"what programs read":           "X-API: {\"name\": \"Jörg\"}\r\n",
		"an address":                   "From: Jörg <jörg@example.com>\r\n",
		"an address without brackets":  "To: jörg@example.com\r\n",
		"an address with a comment":    "To: jörg@example.com (work)\r\n",
		"a local-part in quotes":       "To: \"jörg\"@example.com\r\n",
		"a name that is in two pieces": "To: Müller, Hans <h@example.com>\r\n",
		"a comment in a comment":       "To: h@example.com (ü (ü))\r\n",
		"no end of quotes":             "From: \"Müller <h@example.com>\r\n",
		"no end of a comment":          "From: h@example.com (Müller\r\n",
		"no end of an address":         "From: Müller <h@example.com\r\n",
		"a header that is signed":      "DKIM-Signature: v=1\r\nSubject: Grüße\r\n",
		"a header that would be huge":  "Subject: ü\r\nX: " + strings.Repeat("y", MaxHeaderBytes-20) + "\r\n",
	} {
		h := headerOf(t, in)
		h.EncodeWords()
		var got bytes.Buffer
		h.appendTo(&got)
		if got.String() != in+"\r\n" {
			t.Errorf("%s: %q became %q", name, in, got.String())
		}
	}
}

// FuzzEncodeWords checks that the standard library reads the same before and after, and that
// nothing else changes.
func FuzzEncodeWords(f *testing.F) {
	for _, s := range []string{
		"Subject: Grüße \t aus\r\n Köln", "From: \"Ä \\\" \" B  Ö <a@b.c> (ü), g\u00e9: x@y.z, (\\)ö) Ü <d@e.f>;",
		"To: " + strings.Repeat("日本語", 40) + " <a@b.c>", "From: (é)", "From: a@b.c (ü\"x)", "Cc: ü\\", "Sender: \"@ü\" (x", "X: ü\r\nSubject: \xff",
	} {
		f.Add([]byte(s + "\r\n\r\n"))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := ReadContent(bytes.NewReader(in))
		if err != nil {
			return
		}
		defer c.Close()
		before := slices.Clone(c.Header.fields)
		c.Header.EncodeWords()
		for i, is := range c.Header.fields {
			was := before[i]
			if bytes.Equal(is.raw, was.raw) {
				continue
			}
			if !isASCII(is.raw) || is.name != was.name || strings.ContainsAny(strings.ReplaceAll(string(is.raw), "\r\n", ""), "\r\n") {
				t.Fatalf("%q became %q", was.raw, is.raw)
			}
			if got, want := reading(t, is), reading(t, was); want != nil && !slices.Equal(got, want) {
				t.Fatalf("%q became %q, which is read as %q instead of %q", was.raw, is.raw, got, want)
			}
		}
		again := slices.Clone(c.Header.fields)
		c.Header.EncodeWords()
		if !slices.EqualFunc(again, c.Header.fields, func(a, b field) bool { return bytes.Equal(a.raw, b.raw) }) {
			t.Fatalf("%q changes again", in)
		}
	})
}

// reading is what the standard library finds in a field: the text, or names and addresses; nil
// when they cannot be read.
func reading(t *testing.T, f field) []string {
	t.Helper()
	if list, err := mail.ParseAddressList(f.value()); err == nil && f.name != "subject" {
		var out []string
		for _, a := range list {
			// Programs differ in whether there is a space where quotes end.
			out = append(out, strings.Join(strings.Fields(a.Name), ""), a.Address)
		}
		return out
	}
	if _, isAddress := map[string]bool{"subject": true, "comments": true, "content-description": true, "organization": true, "thread-topic": true}[f.name]; !isAddress {
		return nil
	}
	text, err := new(mime.WordDecoder).DecodeHeader(f.value())
	if err != nil {
		t.Fatalf("%q: %v", f.raw, err)
	}
	return []string{strings.TrimSpace(strings.ReplaceAll(text, "\t", " "))}
}
