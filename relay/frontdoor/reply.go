package frontdoor

import (
	"strconv"
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

// appendTo appends r as it goes over the wire. Every line carries the enhanced code, as RFC
// 2034 §4 wants.
func (r *reply) appendTo(b []byte) []byte {
	for i, text := range r.lines {
		b = strconv.AppendInt(b, int64(r.code), 10)
		if i < len(r.lines)-1 {
			b = append(b, '-')
		} else {
			b = append(b, ' ')
		}
		if r.enhanced != "" {
			b = append(append(b, r.enhanced...), ' ')
		}
		b = append(appendPrintable(b, text), "\r\n"...)
	}
	return b
}

// appendPrintable keeps out of replies what is not printable ASCII, which can come from a
// client's own words.
func appendPrintable(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f {
			b = append(b, '?')
		} else {
			b = append(b, c)
		}
	}
	return b
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
	class, rest, _ := strings.Cut(word, ".")
	subject, detail, _ := strings.Cut(rest, ".")
	return (class == "2" || class == "4" || class == "5") && isShortNumber(subject) && isShortNumber(detail)
}

// isShortNumber tells whether s has one to three digits.
func isShortNumber(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return 1 <= len(s) && len(s) <= 3
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
