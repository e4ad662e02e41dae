package main

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// visible writes JSON with each character that cannot be seen as \uXXXX. The JSON handler
// leaves the controls from U+007F to U+009F, and what turns the direction of text, as they
// are; in the name of a user or a Message-ID they would reach the terminal of whoever reads
// the log. Outside of strings JSON has none of them.
type visible struct{ io.Writer }

// Write takes whole lines, as a slog.Handler writes them.
func (v visible) Write(line []byte) (int, error) {
	if isPlain(line) {
		return v.Writer.Write(line)
	}
	shown := make([]byte, 0, len(line))
	for _, r := range string(line) {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			shown = utf8.AppendRune(shown, r)
		case r <= 0xffff:
			shown = fmt.Appendf(shown, `\u%04x`, r)
		default:
			shown = utf8.AppendRune(shown, utf8.RuneError)
		}
	}
	if _, err := v.Writer.Write(shown); err != nil {
		return 0, err
	}
	return len(line), nil
}

// isPlain reports whether all of a line is ASCII that can be seen, as nearly all lines are.
func isPlain(line []byte) bool {
	for _, c := range line {
		if (c < ' ' || c > '~') && c != '\n' {
			return false
		}
	}
	return true
}
