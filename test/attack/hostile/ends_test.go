package hostile

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSequencesAreWhatTheirNamesSay(t *testing.T) {
	t.Parallel()
	const end = "\r\n.\r\n"
	for _, sequence := range TheEnd {
		if !strings.HasSuffix(sequence, end) {
			t.Errorf("%q does not end with CRLF.CRLF", sequence)
		}
	}
	for _, sequence := range NotTheEnd {
		if strings.Contains(sequence, end) {
			t.Errorf("%q is an end of data", sequence)
		}
	}
}

func TestMustBeRefused(t *testing.T) {
	t.Parallel()
	for sequence, want := range map[string]bool{
		"\r\n.\r\n": false, "\n.\n": false, "\r.\n": true, "\r\r\n": true, "x\r": true, "\r\n\x00": true, "": false,
	} {
		if got := MustBeRefused(sequence); got != want {
			t.Errorf("%q: got %v", sequence, got)
		}
	}
}

func TestCutsKeepEveryByte(t *testing.T) {
	t.Parallel()
	for _, sequence := range append(append([]string{}, NotTheEnd...), TheEnd...) {
		cuts := Cuts(sequence)
		if len(cuts) != len(sequence)+2 || len(cuts[len(cuts)-1]) != utf8.RuneCountInString(sequence) {
			t.Errorf("%q is cut in %d ways: %q", sequence, len(cuts), cuts)
		}
		for _, parts := range cuts {
			if strings.Join(parts, "") != sequence {
				t.Errorf("%q is cut into %q", sequence, parts)
			}
		}
	}
}
