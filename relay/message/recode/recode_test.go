package recode

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// lines turns the line ends of a literal into CRLF.
func lines(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// recode brings a message within the limits.
func recode(in string, limits Limits) (string, error) {
	s := NewScanner()
	_, _ = io.WriteString(s, in)
	plan, err := s.Plan(limits)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := plan.Copy(&out, strings.NewReader(in)); err != nil {
		return "", err
	}
	if !plan.Changes() && out.String() != in {
		return "", errors.New("a plan without changes changed something")
	}
	return out.String(), nil
}

func TestWhatFitsIsNotChanged(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxLine)
	for _, in := range []string{
		"",
		"X: y\r\n",
		"X: " + long[3:] + "\r\n\r\n" + long + "\r\n",
		"\r\n" + long,
		lines("Content-Type: multipart/mixed; boundary=b\n\npre\n--b\n\nx\n--b--\nepi\n"),
		lines("Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\nX: y\n--b--"),
	} {
		for _, limits := range []Limits{{}, {SevenBit: true}} {
			if got, err := recode(in, limits); err != nil || got != in {
				t.Errorf("%.60q: %v, %.60q", in, err, got)
			}
		}
	}
	eight := lines("Content-Transfer-Encoding: 8bit\n\ngr\u00fc\u00dfe\n")
	if got, err := recode(eight, Limits{}); err != nil || got != eight {
		t.Errorf("8-bit content changed without need: %q, %v", got, err)
	}
}

func TestEightBitIsEncodedPartByPart(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, in, want string }{
		{"no MIME header at all",
			"Subject: s\n\na = gr\u00fcn, and much more text\n",
			"Subject: s\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\na =3D gr=C3=BCn, and much more text\n"},
		{"unknown character set",
			"\ngr\xfcn, and much more text\n",
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\nContent-Transfer-Encoding: quoted-printable\n\ngr=FCn, and much more text\n"},
		{"declared character set",
			"MIME-Version: 1.0\nContent-type: text/plain;\n charset=iso-8859-1\nContent-transfer-encoding: 8BIT\nX: y\n\ngr\xfcn, and much more text \n",
			"MIME-Version: 1.0\nContent-type: text/plain;\n charset=iso-8859-1\nX: y\nContent-Transfer-Encoding: quoted-printable\n\ngr=FCn, and much more text=20\n"},
		{"mostly 8-bit text",
			"Content-Type: text/plain; charset=utf-8\nMIME-Version: 1.0\n\n\u65e5\u672c\u8a9e\n",
			"Content-Type: text/plain; charset=utf-8\nMIME-Version: 1.0\nContent-Transfer-Encoding: base64\n\n5pel5pys6KqeDQo=\n"},
		{"only the part that needs it",
			"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"a b\"\nContent-Transfer-Encoding: 8bit\n\npr\u00e9\n--a b\n\nplain\n--a b  \nContent-Type: application/x; name=y\n\n\u00fc\n\n--a b\nContent-Transfer-Encoding: 8bit\n\nplain\n--a b--\n\u00e9\n",
			"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"a b\"\nContent-Transfer-Encoding: 7bit\n\npr??\n--a b\n\nplain\n--a b  \nContent-Type: application/x; name=y\nContent-Transfer-Encoding: base64\n\nw7wNCg==\n--a b\nContent-Transfer-Encoding: 7bit\n\nplain\n--a b--\n??\n"},
		{"inside a message",
			"MIME-Version: 1.0\nContent-Type: message/rfc822\n\nSubject: inner\n\ngr\u00fcn, and much more text\n",
			"MIME-Version: 1.0\nContent-Type: message/rfc822\n\nSubject: inner\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\ngr=C3=BCn, and much more text\n"},
		{"inside a digest",
			"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: inner\n\ngr\u00fcn, and much more text\n--b--\n",
			"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: inner\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\ngr=C3=BCn, and much more text\n--b--\n"},
		{"in what is encoded already",
			"Content-Transfer-Encoding: quoted-printable\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n=3D\u00fc\n",
			"Content-Transfer-Encoding: quoted-printable\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n=3D=C3=BC\n"},
		{"boundary without the quotes it needs",
			"Content-Type: multipart/mixed; boundary=----=_Part(1)\n\n------=_Part(1)\n\ngr\u00fcn, and much more text\n------=_Part(1)--\n",
			"Content-Type: multipart/mixed; boundary=----=_Part(1)\n\n------=_Part(1)\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\ngr=C3=BCn, and much more text\n------=_Part(1)--\n"},
		{"encoding that is none",
			"MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: utf-8\n\ngr\u00fcn, and much more text\n",
			"MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\ngr=C3=BCn, and much more text\n"},
		{"encoding in quotes",
			"MIME-Version: 1.0\nContent-Type: image/x\nContent-Transfer-Encoding: \"8bit\"\n\n\u00fc\n",
			"MIME-Version: 1.0\nContent-Type: image/x\nContent-Transfer-Encoding: base64\n\nw7wNCg==\n"},
		{"encoding of parts misspelt",
			"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8-bit\n\n--b\n\ngr\u00fcn, and much more text\n--b--\n",
			"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 7bit\n\n--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\ngr=C3=BCn, and much more text\n--b--\n"},
		{"outer delimiter ends inner parts",
			"Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\n\u00fc much more text\n--o\n\nplain\n--o--\n",
			"Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=C3=BC much more text\n--o\n\nplain\n--o--\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := recode(lines(tc.in), Limits{SevenBit: true})
			if err != nil || got != lines(tc.want) {
				t.Errorf("%v\ngot  %q\nwant %q", err, got, lines(tc.want))
			}
		})
	}
}

func TestLongLinesAreBroken(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 100)
	for _, tc := range []struct {
		name, in string
		header   string
	}{
		{"text", "\n" + long + "\n", "MIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\nContent-Transfer-Encoding: quoted-printable\n\n"},
		{"HTML", "MIME-Version: 1.0\nContent-Type: text/html\n\n" + long + "\n", "MIME-Version: 1.0\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n"},
		{"data", "MIME-Version: 1.0\nContent-Type: image/x\n\n" + long + "\n", "MIME-Version: 1.0\nContent-Type: image/x\nContent-Transfer-Encoding: base64\n\n"},
		{"base64", "Content-Transfer-Encoding: base64\n\n" + long + "\n", "Content-Transfer-Encoding: base64\n\n"},
		{"quoted-printable", "Content-Transfer-Encoding: quoted-printable\n\n" + long + "=3D\n", "Content-Transfer-Encoding: quoted-printable\n\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			in := lines(tc.in)
			got, err := recode(in, Limits{})
			if err != nil || !strings.HasPrefix(got, lines(tc.header)) {
				t.Fatalf("%v: %.300q", err, got)
			}
			for line := range strings.Lines(got) {
				if len(line) > encodedLine+len("\r\n") {
					t.Errorf("a line of %d octets", len(line))
				}
			}
			want, _ := decoded(in)
			if have, err := decoded(got); err != nil || have != want {
				t.Errorf("%v: decodes to %.100q, want %.100q", err, have, want)
			}
		})
	}
}

func TestSignedPartsAreNeverChanged(t *testing.T) {
	t.Parallel()
	signed := "Content-Type: multipart/signed; boundary=s; protocol=\"x/y\"\n\n--s\nContent-Type: text/plain\n\n%\n--s\nContent-Type: x/y\n\nsignature\n--s--\n"
	mixed := "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=m\n\n--m\n" + signed + "--m\n\n\u00fc and much more text\n--m--\n"
	in := lines(strings.Replace(mixed, "%", "Signed = text ", 1))
	got, err := recode(in, Limits{SevenBit: true})
	if err != nil || !strings.Contains(got, lines(strings.Replace(signed, "%", "Signed = text ", 1))) || !strings.Contains(got, "=C3=BC") {
		t.Errorf("%v: %q", err, got)
	}
	for _, content := range []string{"\u00fc", strings.Repeat("x", MaxLine+1)} {
		for _, in := range []string{signed, mixed} {
			if _, err := recode(lines(strings.Replace(in, "%", content, 1)), Limits{SevenBit: true}); !errors.Is(err, ErrSigned) {
				t.Errorf("%.20q: error %v", content, err)
			}
		}
	}
}

func TestWhatHasNoEncodingIsUnfit(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"unknown encoding": "Content-Transfer-Encoding: x-uuencode\n\n\u00fc\n",
		"message/partial":  "Content-Type: message/partial\n\n\u00fc\n",
		"private encoding": "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: uuencode\n\n\u00fc\n",
		"wrong boundary":   "Content-Type: multipart/mixed; boundary=abc\n\n--abd\n\nBest\u00e4tigung\n--abd--\n",
		"only an end":      "Content-Type: multipart/mixed; boundary=b\n\n--b--\nBest\u00e4tigung\n",
		"unbreakable":      "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("y", MaxLine+1) + "\n",
		"no boundary":      "Content-Type: multipart/mixed\n\n\u00fc\n",
		"long field":       "X: " + strings.Repeat("y", MaxLine) + "\n\n",
		"huge header":      strings.Repeat("X: y\n", maxHeader/5+1) + "X: " + strings.Repeat("y ", MaxLine) + "\n\n\u00fc\n",
		"too deep":         strings.Repeat("Content-Type: message/rfc822\n\n", maxDepth) + "\n\u00fc\n",
		"too many parts":   "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\n", maxParts+1) + "\u00fc\n",
	} {
		if got, err := recode(lines(in), Limits{SevenBit: true}); !errors.Is(err, ErrUnfit) {
			t.Errorf("%s: error %v, result %.100q", name, err, got)
		}
	}
}

func TestLongHeaderLinesAreFolded(t *testing.T) {
	t.Parallel()
	addresses := strings.Repeat("somebody@example.com,", 100)
	for _, tc := range []struct{ name, in string }{
		{"words", "Subject: " + strings.Repeat("word ", 300) + "\n\n"},
		{"addresses without spaces", "To: " + addresses + "x@example.com\n\n"},
		{"one long word and others", "X: a " + strings.Repeat("b", 900) + " " + strings.Repeat("c ", 300) + "\n\n"},
		{"a part's field", "Content-Type: multipart/mixed; boundary=b\n\n--b\nX: " + strings.Repeat("word ", 300) + "\n\nx\n--b--\n"},
	} {
		got, err := recode(lines(tc.in), Limits{})
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		for line := range strings.Lines(got) {
			if len(line) > MaxLine+2 || line != "\r\n" && strings.TrimSpace(line) == "" {
				t.Errorf("%s: line %.40q of %d octets", tc.name, line, len(line))
			}
		}
		// A fold after a comma adds the space that the others have anyway.
		unfold := strings.NewReplacer(",\r\n ", ",", "\r\n ", " ")
		if unfold.Replace(got) != lines(tc.in) {
			t.Errorf("%s: got %q", tc.name, unfold.Replace(got))
		}
	}
}

func TestLongLinesAroundPartsAreFoldedAndKeepTheirCharacters(t *testing.T) {
	t.Parallel()
	words := strings.Repeat("Gr\u00fc\u00dfe ", 300)
	word := strings.Repeat("\u00fc", 900)
	start := lines("Content-Type: multipart/mixed; boundary=b\n\n")
	for _, tc := range []struct{ name, in, want string }{
		{"no part, as of a wrong boundary", words + "\r\n--c\r\n" + words, unbroken(words + "--c" + words)},
		{"preamble", words + "\r\n--b\r\n\r\nx\r\n--b--\r\n", words + "--bx--b--"},
		{"one long word in an epilogue", "--b\r\n\r\nx\r\n--b--\r\n" + word, "--bx--b--" + word[:MaxLine] + " " + word[MaxLine:]},
	} {
		got, err := recode(start+tc.in, Limits{})
		if err != nil || unbroken(strings.TrimPrefix(got, start)) != tc.want {
			t.Errorf("%s: %v: %q", tc.name, err, got)
			continue
		}
		checkWire(t, got, false)
	}
}

// A part whose new lines were a delimiter would end there.
func TestNewLinesAreNoDelimiters(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"", "Content-Transfer-Encoding: quoted-printable\r\n", "Content-Transfer-Encoding: base64\r\n"} {
		for column := range encodedLine {
			part := strings.Repeat("x", column) + "--b\r\n" + strings.Repeat("y ", MaxLine)
			in := "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + header + "\r\nx" + part + "\r\n--b--\r\n"
			got, err := recode(in, Limits{})
			if err != nil || strings.Count(got, "\r\n--b") != 2 {
				t.Fatalf("column %d: %v: %q", column, err, got)
			}
		}
	}
}
