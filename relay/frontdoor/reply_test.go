package frontdoor

import (
	"slices"
	"testing"
)

func TestRepliesAreReadAndWritten(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		lines []string
		want  string
	}{
		{"code and text", []string{"354 Go ahead"}, "354 Go ahead\r\n"},
		{"code alone", []string{"334 "}, "334 \r\n"},
		{"enhanced code", []string{"250 2.1.0 OK"}, "250 2.1.0 OK\r\n"},
		{"a name that only looks like one", []string{"220 2.example.org ESMTP"}, "220 2.example.org ESMTP\r\n"},
		{"several lines without it", []string{"250-a", "250-b", "250 c"}, "250-a\r\n250-b\r\n250 c\r\n"},
		{"each line carries it", []string{"550-First", "550 5.7.1 Second"}, "550-5.7.1 First\r\n550 5.7.1 Second\r\n"},
		{"control characters", []string{"501 5.5.2 a\rb\x00c\x7f"}, "501 5.5.2 a?b?c?\r\n"},
		{"SASL challenge", []string{"334 cj1meWtvLWQrbGJiRmdPTlJ2"}, "334 cj1meWtvLWQrbGJiRmdPTlJ2\r\n"},
	}
	for _, tt := range tests {
		r := parseReply(tt.lines)
		if got := string(r.appendTo(nil)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestWholeRepliesAreFound(t *testing.T) {
	t.Parallel()
	tests := []struct {
		written string
		lines   []string
		size    int
	}{
		{"", nil, 0},
		{"250 OK", nil, 0},
		{"250 OK\r\n", []string{"250 OK"}, 8},
		{"250-a\r\n", nil, 0},
		{"250-a\r\n250 b\r\n", []string{"250-a", "250 b"}, 14},
		{"250 OK\r\n354 Go\r\n", []string{"250 OK"}, 8},
		{"stray\r\n250 OK\r\n", []string{"250 OK"}, 15},
		{"\r\n", nil, 0},
	}
	for _, tt := range tests {
		lines, size := splitReply([]byte(tt.written))
		if !slices.Equal(lines, tt.lines) || size != tt.size {
			t.Errorf("%q: got %q and %d, want %q and %d", tt.written, lines, size, tt.lines, tt.size)
		}
	}
}
