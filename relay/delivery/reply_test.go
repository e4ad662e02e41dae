package delivery

import (
	"bufio"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func parseReply(text string) (reply, error) {
	return readReply(bufio.NewReaderSize(strings.NewReader(text), maxReplyLine))
}

func TestReplies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want reply
		line string
	}{
		{"250 2.1.0 Ok\r\n", reply{250, "2.1.0", []string{"2.1.0 Ok"}}, "250 2.1.0 Ok"},
		{"250\r\n", reply{250, "", []string{""}}, "250"},
		{"354 go\n", reply{354, "", []string{"go"}}, "354 go"},
		{"250-a\r\n250-b\r\n250 c\r\n", reply{250, "", []string{"a", "b", "c"}}, "250 a b c"},
		{"550-5.7.1 first\r\n550 5.7.1 second\r\n", reply{550, "5.7.1", []string{"5.7.1 first", "5.7.1 second"}}, "550 5.7.1 first second"},
		{"550 4.7.1 class and code differ\r\n", reply{550, "", []string{"4.7.1 class and code differ"}}, "550 4.7.1 class and code differ"},
		{"550 5.7.1000 x\r\n", reply{550, "", []string{"5.7.1000 x"}}, "550 5.7.1000 x"},
		{"421 a\x1b[31m\x00\xff\tb\r\n", reply{421, "", []string{"a\x1b[31m\x00\xff\tb"}}, "421 a?[31m?? b"},
	}
	for _, test := range tests {
		got, err := parseReply(test.text)
		if err != nil || got.code != test.want.code || got.enhanced != test.want.enhanced || !slices.Equal(got.lines, test.want.lines) {
			t.Errorf("%q: %+v, %v", test.text, got, err)
		}
		if got.String() != test.line {
			t.Errorf("%q is shown as %q, want %q", test.text, got, test.line)
		}
	}
}

func TestWhatIsNoReply(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "\r\n", "25\r\n", "250", "abc x\r\n", "100 x\r\n", "600 x\r\n", "250_x\r\n", "2500 x\r\n",
		"250-a\r\n251 b\r\n", "250-a\r\n", "250-a\r\n\r\n", "+50 x\r\n",
	} {
		if got, err := parseReply(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestTextOfAReplyIsBounded(t *testing.T) {
	t.Parallel()
	got, err := parseReply(strings.Repeat("550-"+strings.Repeat("é", 400)+"\r\n", 10) + "550 end\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if text := got.text(); len(text) > maxReplyText || strings.ContainsRune(text, unicode.ReplacementChar) {
		t.Errorf("%d octets: %q", len(text), text)
	}
}

func FuzzReadReply(f *testing.F) {
	for _, seed := range []string{"250 ok\r\n", "250-a\r\n250 b\r\n", "550 5.1.1 x\r\n", "421\r\n", "250-\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseReply(text)
		if err != nil {
			return
		}
		if got.code < 200 || got.code > 599 || len(got.lines) == 0 || len(got.lines) > maxReplyLines {
			t.Fatalf("%q: %+v", text, got)
		}
		line := got.String()
		if len(line) > maxReplyText+20 || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q is shown as %q", text, line)
		}
		_ = parseExtensions(got.lines).size()
	})
}
