package dsn

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestXtextIsOneWord(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"QQ314159":      "QQ314159",
		"a+b=c":         "a+2Bb+3Dc",
		"two words":     "two+20words",
		"a\r\nRSET":     "a+0D+0ARSET",
		"\x00\x7fü":     "+00+7F+C3+BC",
		"<a@b>;x;\"y\"": "<a@b>;x;\"y\"",
	} {
		if got := Xtext(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func TestORCPT(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ in, sevenBit, eightBit string }{
		{"rfc822;bob+x@example.net", "rfc822;bob+2Bx@example.net", ""},
		{`rfc822;"b o b"@example.net`, `rfc822;"b+20o+20b"@example.net`, ""},
		{"utf-8;jürgen@例え.jp", `utf-8;j\x{FC}rgen@\x{4F8B}\x{3048}.jp`, "utf-8;jürgen@例え.jp"},
		{`utf-8;a+b\c@example.net`, `utf-8;a\x{2B}b\x{5C}c@example.net`, ""},
		{"utf-8;a\u2028\r\n@x", `utf-8;a\x{2028}\x{0D}\x{0A}@x`, ""},
		{"no type", "no+20type;", ""},
		{"x y;z", "x+20y;z", ""},
	} {
		if test.eightBit == "" {
			test.eightBit = test.sevenBit
		}
		if got := ORCPT(test.in, false); got != test.sevenBit {
			t.Errorf("%q: %s, want %s", test.in, got, test.sevenBit)
		}
		if got := ORCPT(test.in, true); got != test.eightBit {
			t.Errorf("%q with SMTPUTF8: %s, want %s", test.in, got, test.eightBit)
		}
	}
}

// FuzzORCPT encodes whatever a spool may hold: it is one word in a command, and says the same.
func FuzzORCPT(f *testing.F) {
	f.Add("rfc822;bob+x@example.net", true)
	f.Add("utf-8;j\\x{FC}ü@例え.jp", false)
	f.Add("\r\n; \u2028\xff", true)
	f.Fuzz(func(t *testing.T, original string, smtpUTF8 bool) {
		got := ORCPT(original, smtpUTF8)
		for _, c := range got {
			if c <= ' ' || c == '=' || c == 0x7f || !smtpUTF8 && c > '~' || c > '~' && plain(string(c)) != string(c) {
				t.Fatalf("%q: %q has %q", original, got, c)
			}
		}
		kind, address, _ := strings.Cut(original, ";")
		_, encoded, _ := strings.Cut(got, ";")
		if back := decode(t, encoded, kind == TypeUTF8); back != address && utf8.ValidString(address) {
			t.Fatalf("%q: %q is %q", original, got, back)
		}
	})
}

// decode undoes both encodings.
func decode(t *testing.T, s string, utf8Form bool) string {
	t.Helper()
	begin, end := "+", 3
	if utf8Form {
		begin = `\x{`
	}
	var out strings.Builder
	for s != "" {
		if !strings.HasPrefix(s, begin) {
			out.WriteByte(s[0])
			s = s[1:]
			continue
		}
		if utf8Form {
			end = strings.IndexByte(s, '}') + 1
		}
		n, err := strconv.ParseUint(strings.Trim(s[:end], `+\x{}`), 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		if utf8Form {
			out.WriteRune(rune(n))
		} else {
			out.WriteByte(byte(n))
		}
		s = s[end:]
	}
	return out.String()
}
