package frontdoor

import "testing"

func TestSegmentsEndWhereTheServerMayStop(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, input string
		body        bool
		want        string
	}{
		{"one command", "NOOP\r\n", false, "NOOP\r\n"},
		{"pipelined commands", "QUIT\r\nNOOP\r\n", false, "QUIT\r\n"},
		{"a bare LF ends a segment too", "QUIT\nNOOP\r\n", false, "QUIT\n"},
		{"part of a command", "NOO", false, "NOO"},
		{"body", "a\r\nb\r\n", true, "a\r\nb\r\n"},
		{"end of data", "a\r\n.\r\nQUIT\r\n", true, "a\r\n.\r\n"},
		{"end of an empty body", ".\r\nQUIT\r\n", true, ".\r\n"},
		{"end of data, split behind the dot", "\r\nQUIT\r\n", true, "\r\n"},
		{"end of data, split before the LF", "\nQUIT\r\n", true, "\n"},
		{"a sentence costs a read", "The end.\r\nmore", true, "The end.\r\n"},
	}
	for _, tt := range tests {
		if got := tt.input[:segment([]byte(tt.input), tt.body)]; got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// However a body is split over reads, nothing behind its end may be handed over with it.
func FuzzSegmentNeverPassesTheEndOfData(f *testing.F) {
	f.Add("a\r\n.\r\nQUIT\r\n", uint8(3))
	f.Add(".\r\nQUIT\r\n", uint8(1))
	f.Add("\r\n.\r\n.\r\n", uint8(5))
	f.Fuzz(func(t *testing.T, input string, size uint8) {
		end := endOfData(input)
		for at := 0; at < len(input) && end >= 0 && at < end; {
			part := input[at:min(len(input), at+int(size)+1)]
			at += segment([]byte(part), true)
			if at > end {
				t.Fatalf("%q in parts of %d: handed over %d bytes, the body ends at %d", input, size+1, at, end)
			}
		}
	})
}

// endOfData is where RFC 5321 §4.1.1.4 says that a body ends, or -1.
func endOfData(input string) int {
	const mark = "\r\n.\r\n"
	for i := range len("\r\n" + input) {
		if rest := ("\r\n" + input)[i:]; len(rest) >= len(mark) && rest[:len(mark)] == mark {
			return i + len(mark) - len("\r\n")
		}
	}
	return -1
}
