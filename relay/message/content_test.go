package message

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

var submitted = Submission{
	QueueID:       "q1",
	Hostname:      "relay.test",
	ClientName:    "client.test",
	ClientAddress: netip.MustParseAddr("192.0.2.7"),
	TLS:           "TLS1.3 TLS_AES_128_GCM_SHA256",
	Time:          time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
}

const (
	received = "Received: from client.test ([192.0.2.7])\r\n\tby relay.test with ESMTPSA (TLS1.3 TLS_AES_128_GCM_SHA256)\r\n" +
		"\tid q1; Wed, 4 Mar 2026 05:06:07 +0000\r\n"
	date = "Date: Wed, 4 Mar 2026 05:06:07 +0000\r\n"
	id   = "Message-ID: <q1@relay.test>\r\n"
)

func complete(t *testing.T, in string) string {
	t.Helper()
	c, err := ReadContent(strings.NewReader(in))
	if err != nil {
		t.Fatalf("ReadContent(%q): %v", in, err)
	}
	defer c.Close()
	c.Header.Complete(submitted)
	var out strings.Builder
	n, err := c.WriteTo(&out)
	if err != nil || n != int64(out.Len()) {
		t.Fatalf("WriteTo: %d, %v; wrote %d", n, err, out.Len())
	}
	return out.String()
}

func TestCompleteMakesTheHeaderFitToLeave(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, in, want string }{
		{"adds what is missing", "From: a@b.c\r\n\r\nhi\r\n", received + "From: a@b.c\r\n" + date + id + "\r\nhi\r\n"},
		{"keeps what is there", "date: x\nMESSAGE-ID : <m>\n\nhi\n", received + "date: x\r\nMESSAGE-ID : <m>\r\n\r\nhi\r\n"},
		{"replaces what is empty", "Date:\r\nMessage-ID: \r\n \r\n\r\n", received + date + id + "\r\n"},
		{"takes private fields out, folded ones whole", "Bcc: a@b.c,\r\n d@e.f\r\nRESENT-BCC: x\r\nReturn-Path: <y>\r\nSubject: s\r\n\r\n",
			received + "Subject: s\r\n" + date + id + "\r\n"},
		{"takes obsolete syntax out as well", "Bcc \t: a@b.c\r\n\r\n", received + date + id + "\r\n"},
		{"leaves the body alone", "X: y\r\n\r\nBcc: a@b.c\r\n\r\n.\r\n", received + "X: y\r\n" + date + id + "\r\nBcc: a@b.c\r\n\r\n.\r\n"},
		{"empty message", "", received + date + id + "\r\n"},
		{"header only", "X: y\r\n", received + "X: y\r\n" + date + id + "\r\n"},
		{"header without its last line end", "X: y", received + "X: y\r\n" + date + id + "\r\n"},
		{"body only", "\r\nhi\r\n", received + date + id + "\r\nhi\r\n"},
		{"no header", "hello\r\nX: y\r\n", received + date + id + "\r\nhello\r\nX: y\r\n"},
		{"starts folded", " X: y\r\n\r\nhi\r\n", received + date + id + "\r\n X: y\r\n\r\nhi\r\n"},
		{"no empty line", "X: y\r\nhello\r\nFrom: z\r\n", received + "X: y\r\n" + date + id + "\r\nhello\r\nFrom: z\r\n"},
		{"line of a mailbox file", "From app Thu Nov 25 18:00:00 2026\nX: y\nBcc: a@b.c\n\nFrom z\n", received + "X: y\r\n" + date + id + "\r\nFrom z\r\n"},
		{"quoted line of a mailbox file", ">From app\r\nX: y\r\n\r\nhi\r\n", received + "X: y\r\n" + date + id + "\r\nhi\r\n"},
		{"text that begins like a mailbox file", "From here on\r\n\r\nX: y\r\n", received + date + id + "\r\nFrom here on\r\n\r\nX: y\r\n"},
		{"more such text", "From here\r\nto there\r\n", received + date + id + "\r\nFrom here\r\nto there\r\n"},
		{"only such text", "From here", received + date + id + "\r\nFrom here\r\n"},
		{"field with a blank before its colon", "From : b@c.d\r\nX: y\r\n\r\nhi\r\n", received + "From : b@c.d\r\nX: y\r\n" + date + id + "\r\nhi\r\n"},
		{"name with 8-bit", "X: y\r\n\xfc: z\r\n", received + "X: y\r\n" + date + id + "\r\n\xfc: z\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := complete(t, tc.in); got != tc.want {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

func TestBlindCopiesAreNotShownByABrokenHeader(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", readerBuffer+1)
	for name, in := range map[string]string{
		"name with a space":   "From: a@b.c\nReply To: d@e.f\nBcc: g@h.i\n\nhi\n",
		"line not folded":     "From: a@b.c\nSubject: a\nsecond line\nTo: x\nRESENT-BCC : g@h.i\n\nhi\n",
		"after a long line":   "From: a@b.c\n" + long + "\nBcc: g@h.i\n\nhi\n",
		"at the end":          "From: a@b.c\nsecond line\nBcc: g@h.i",
		"second mailbox line": "From x\nFrom y\nBcc: g@h.i\n\n",
	} {
		if c, err := ReadContent(strings.NewReader(in)); !errors.Is(err, ErrBrokenHeader) {
			t.Errorf("%s: %v", name, err)
			c.Close()
		}
	}
	for name, in := range map[string]string{
		"in the body":         "From: a@b.c\r\nno field\r\n\r\nBcc: g@h.i\r\n",
		"in a line":           "From: a@b.c\r\nno field\r\n" + long + "Bcc: g@h.i\r\n",
		"at a buffer's start": "From: a@b.c\r\nno field\r\n" + long[1:] + "Bcc: g@h.i\r\n",
		"beyond a header":     "From: a@b.c\r\n" + strings.Repeat("no field\r\n", MaxHeaderBytes/10+1) + "Bcc: g@h.i\r\n",
		"an endless line":     "From: a@b.c\r\nno field\r\n" + strings.Repeat(long, 40) + "\r\n",
	} {
		if out := complete(t, in); !strings.HasSuffix(out, strings.TrimPrefix(in, "From: a@b.c\r\n")) {
			t.Errorf("%s: the body ends as %.100q", name, out[max(0, len(out)-100):])
		}
	}
	broken := io.MultiReader(strings.NewReader("From: a@b.c\r\nno field\r\nx"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := ReadContent(broken); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the reader's error became %v", err)
	}
}

func TestCompleteTakesOutWhatMustNotTravel(t *testing.T) {
	t.Parallel()
	s := submitted
	s.Drop = []string{"X-Mailer"}
	for in, kept := range map[string]bool{
		"x-mailer: secret 1.0":                                 false,
		"X-Mailer-2: y":                                        true,
		"Content-Length: 12":                                   false,
		"Authentication-Results: relay.test; spf=pass":         false,
		"Authentication-Results: (we) RELAY.test 1; none":      false,
		"Authentication-Results:\r\n \"relay.test\"; none":     false,
		"Authentication-Results: relay.test.; none":            false,
		"Authentication-Results: (;) relay.test; spf=pass":     false,
		"Authentication-Results: (a(;\\)b)) relay.test; none":  false,
		"Authentication-Results: \"relay\\.test\"; spf=pass":   false,
		"Authentication-Results: \"RELAY.test.\" 1; spf=pass":  false,
		"Authentication-Results: relay.test(;); spf=pass":      false,
		"Authentication-Results: relay.test/1; spf=pass":       false,
		"Authentication-Results: relay.test":                   false,
		"Authentication-Results: relay.test.example; none":     true,
		"Authentication-Results: (relay.test) mx.test; none":   true,
		"Authentication-Results: (relay.test":                  true,
		"Authentication-Results: \"mx.test;relay.test\"; none": true,
		"Authentication-Results: mx.example.net; x=relay.test": true,
		"Authentication-Results: ":                             true,
	} {
		h := headerOf(t, in+"\r\n")
		h.Complete(s)
		if got := h.fields[1].name != "date"; got != kept {
			t.Errorf("%q: kept is %v, want %v", in, got, kept)
		}
	}
}

func TestCompleteAddsFrom(t *testing.T) {
	t.Parallel()
	s := submitted
	s.Sender = "app@example.com"
	for in, want := range map[string]string{
		"X: y\r\n":                "X: y\r\nFrom: app@example.com\r\n",
		"From: \r\n \r\nX: y\r\n": "X: y\r\nFrom: app@example.com\r\n",
		"From: b@example.com\r\n": "From: b@example.com\r\n",
	} {
		h := headerOf(t, in)
		h.Complete(s)
		var out bytes.Buffer
		h.appendTo(&out)
		if !strings.Contains(out.String(), received+want+"Date: ") {
			t.Errorf("%q became %q", in, out.String())
		}
	}
}

func TestReceivedNamesTheUserWhenAsked(t *testing.T) {
	t.Parallel()
	s := submitted
	s.User = "app.shop)\r\nX: y"
	if got := s.received("date"); !strings.HasPrefix(got, "Received: from client.test ([192.0.2.7])\r\n\t(authenticated as app.shop???X:?y)\r\n\tby ") {
		t.Errorf("%q", got)
	}
}

func TestReceivedShowsOnlySafeText(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		address netip.Addr
		want    string
	}{
		{"[127.0.0.1]", netip.MustParseAddr("::ffff:127.0.0.1"), "from [127.0.0.1] ([127.0.0.1])"},
		{"a\r\nX: y", netip.MustParseAddr("fe80::1%eth0"), "from a??X:?y ([IPv6:fe80::1])"},
		{"(x)\x00ü", netip.Addr{}, "from ?x??? (unknown)"},
		{"", netip.Addr{}, "from unknown (unknown)"},
		{strings.Repeat("x", 9000), netip.Addr{}, "from " + strings.Repeat("x", 255) + " (unknown)"},
	} {
		s := submitted
		s.ClientName, s.ClientAddress = tc.name, tc.address
		if got := s.received("date"); !strings.HasPrefix(got, "Received: "+tc.want+"\r\n\tby ") {
			t.Errorf("EHLO %.20q: %q", tc.name, got)
		}
	}
	s := submitted
	s.SMTPUTF8 = true
	if got := s.received("date"); !strings.Contains(got, " with UTF8SMTPSA ") {
		t.Errorf("with SMTPUTF8: %q", got)
	}
}

func TestReadContentRefuses(t *testing.T) {
	t.Parallel()
	cut := errors.New("cut")
	fields := strings.Repeat("a:\r\n", MaxHeaderFields)
	huge := strings.Repeat("X-Filler: "+strings.Repeat("y", 980)+"\r\n", 300)
	for _, tc := range []struct {
		name string
		src  io.Reader
		want error
	}{
		{"too many fields", strings.NewReader(fields + "a:\r\n"), ErrTooManyFields},
		{"as many fields as there may be", strings.NewReader(fields + "\r\n"), nil},
		{"many large fields", strings.NewReader(huge + "\r\n"), ErrHeaderTooLarge},
		{"one endless field", strings.NewReader("X: " + strings.Repeat("y", MaxHeaderBytes)), ErrHeaderTooLarge},
		{"one endless fold", strings.NewReader("X: y\r\n" + strings.Repeat(" z\r\n", MaxHeaderBytes/4)), ErrHeaderTooLarge},
		{"bare CR", strings.NewReader("X: y\rFrom: z\r\n\r\n"), ErrBareCR},
		{"NUL", strings.NewReader("X: \x00\r\n\r\n"), ErrNUL},
		{"cut off", io.MultiReader(strings.NewReader("X: y\r\n"), iotest.ErrReader(cut)), cut},
	} {
		if _, err := ReadContent(tc.src); !errors.Is(err, tc.want) {
			t.Errorf("%s: error %v, want %v", tc.name, err, tc.want)
		}
	}
}

func TestWriteToFailsWithTheBody(t *testing.T) {
	t.Parallel()
	full := errors.New("full")
	for _, tc := range []struct {
		name, body string
		out        io.Writer
		want       error
		write      bool
	}{
		{"bare CR", strings.Repeat("x\r\n", 20_000) + "\r.\r\n", io.Discard, ErrBareCR, false},
		{"NUL", "\x00", io.Discard, ErrNUL, false},
		{"writer", "x\r\n", &failAfter{0, full}, full, true},
		{"writer later", strings.Repeat("x\r\n", 20_000), &failAfter{1, full}, full, true},
	} {
		c, err := ReadContent(strings.NewReader("X: y\r\n\r\n" + tc.body))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.WriteTo(tc.out)
		var write *WriteError
		if !errors.Is(err, tc.want) || errors.As(err, &write) != tc.write {
			t.Errorf("%s: error %v, want %v", tc.name, err, tc.want)
		}
		c.Close()
	}
}

// failAfter takes a number of writes and then fails.
type failAfter struct {
	writes int
	err    error
}

func (w *failAfter) Write(p []byte) (int, error) {
	if w.writes--; w.writes < 0 {
		return 0, w.err
	}
	return len(p), nil
}

func TestContentKnowsEightBit(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		in           string
		ascii, eight bool
	}{
		{"X: y\r\n\r\nplain\r\n", true, false},
		{"X: y\r\n\r\ngr\xc3\xbc\xc3\x9fe\r\n", true, true},
		{"X: \xc3\xbc\r\n\r\nplain\r\n", false, true},
		{"X: y\r\nno field \xc3\xbc\r\n\r\nplain\r\n", true, true},
		{"X: y\r\n\r\n" + strings.Repeat("plain\r\n", readerBuffer) + "\xc3\xbc\r\n", true, true},
		{"Subject: \xc3\xbc\r\n\r\nplain\r\n", true, false},
		{"Subject: \xc3\xbc\r\n\r\n" + strings.Repeat("plain\r\n", readerBuffer) + "\xc3\xbc\r\n", true, true},
	} {
		c, err := ReadContent(strings.NewReader(tc.in))
		if err != nil {
			t.Fatal(err)
		}
		c.Header.EncodeWords()
		if _, err := c.WriteTo(io.Discard); err != nil {
			t.Fatal(err)
		}
		if c.Header.ASCII() != tc.ascii || c.EightBit() != tc.eight {
			t.Errorf("%.60q: header ASCII %v, 8-bit %v", tc.in, c.Header.ASCII(), c.EightBit())
		}
		c.Close()
	}
}

func FuzzContent(f *testing.F) {
	for _, s := range []string{
		"From: a@b.c\r\n\r\nhi\r\n", "Bcc: x\n y\nno colon\n", " folded\r\n", "From : a\r\n \r\n\r\n", "\r\n", "a:\nb", "X: \xff\n\nBcc: y\n", "From :",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := ReadContent(bytes.NewReader(in))
		if err != nil {
			return
		}
		defer c.Close()
		before, fromErr := c.Header.Addresses("From")
		if c.Header.Empty("From") {
			fromErr = nil // such a field is taken out
		} else if c.Header.Count("From") > 1 {
			return // as the session refuses it
		}
		c.Header.Complete(submitted)
		var out bytes.Buffer
		if _, err := c.WriteTo(&out); err != nil {
			return
		}
		if bare := strings.ReplaceAll(out.String(), "\r\n", ""); strings.ContainsAny(bare, "\r\n\x00") {
			t.Fatalf("%q came out", out.String())
		}
		// What was checked must be what the next reader sees.
		again, err := ReadContent(bytes.NewReader(out.Bytes()))
		if err != nil {
			if errors.Is(err, ErrHeaderTooLarge) {
				return
			}
			t.Fatalf("read again: %v", err)
		}
		defer again.Close()
		after, err := again.Header.Addresses("From")
		if strings.Join(before, ",") != strings.Join(after, ",") || (err == nil) != (fromErr == nil) {
			t.Fatalf("From was %q, %v and is %q, %v", before, fromErr, after, err)
		}
		h := &again.Header
		if h.Count("Bcc")+h.Count("Return-Path") != 0 || h.Count("Received") == 0 || h.Count("Date") == 0 || h.MessageID() == "" {
			t.Fatalf("incomplete header: %q", out.String())
		}
	})
}
