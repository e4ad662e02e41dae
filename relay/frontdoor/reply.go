package frontdoor

import (
	"bytes"
	"fmt"
	"strings"
)

// reply is one SMTP reply (RFC 5321 §4.2): a code and at least one line of text.
type reply struct {
	code int
	// enhanced is the enhanced status code of the last line (RFC 3463), or empty.
	enhanced string
	// lines are the texts; the last one without its enhanced code.
	lines []string
}

// text is the last line, the only one of most replies.
func (r *reply) text() string { return r.lines[len(r.lines)-1] }

// setText makes r a reply of one line, with the codes and text of a literal such as
// "250 2.0.0 OK".
func (r *reply) setText(literal string) { *r = parseReply([]string{literal}) }

// parseReply reads lines of the form "250-text" and "250 text".
func parseReply(lines []string) reply {
	r := reply{lines: make([]string, len(lines))}
	for i, line := range lines {
		r.code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
		r.lines[i] = strings.TrimPrefix(line[3:], "-")
	}
	last := len(lines) - 1
	r.lines[last] = strings.TrimPrefix(lines[last][3:], " ")
	if code, rest, _ := strings.Cut(r.lines[last], " "); isEnhanced(code) {
		r.enhanced, r.lines[last] = code, rest
	}
	return r
}

// format writes r as it goes over the wire. Every line carries the enhanced code, as RFC
// 2034 §4 wants.
func (r *reply) format() []byte {
	var b bytes.Buffer
	for i, text := range r.lines {
		separator := '-'
		if i == len(r.lines)-1 {
			separator = ' '
		}
		fmt.Fprintf(&b, "%03d%c", r.code, separator)
		if r.enhanced != "" {
			b.WriteString(r.enhanced)
			b.WriteByte(' ')
		}
		b.WriteString(strings.Map(printable, text))
		b.WriteString("\r\n")
	}
	return b.Bytes()
}

// printable keeps control characters, which can come from a client's own words, out of
// replies.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return '?'
	}
	return r
}

// isReplyLine tells whether line begins like a line of a reply.
func isReplyLine(line string) bool {
	if len(line) < 4 || (line[3] != ' ' && line[3] != '-') {
		return false
	}
	return '2' <= line[0] && line[0] <= '5' && isDigit(line[1]) && isDigit(line[2])
}

// isEnhanced tells whether word is an enhanced status code (RFC 3463 §2).
func isEnhanced(word string) bool {
	parts := strings.Split(word, ".")
	if len(parts) != 3 || (parts[0] != "2" && parts[0] != "4" && parts[0] != "5") {
		return false
	}
	for _, part := range parts[1:] {
		if len(part) == 0 || len(part) > 3 || strings.TrimLeft(part, "0123456789") != "" {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
