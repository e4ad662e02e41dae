package delivery

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a reply. RFC 5321 §4.5.3.1.5 allows lines of 512 octets; servers exceed that a
// little, and nothing else limits how much an upstream can make us hold.
const (
	maxReplyLine  = 4096
	maxReplyLines = 128
	maxReplyText  = 512
)

var (
	errReplyTooLong   = fmt.Errorf("reply line longer than %d octets", maxReplyLine)
	errReplyTooMany   = fmt.Errorf("reply of more than %d lines", maxReplyLines)
	errReplyMalformed = errors.New("malformed reply")
)

// reply is an SMTP reply (RFC 5321 §4.2).
type reply struct {
	code int
	// enhanced is the enhanced status code of RFC 2034, empty when there is none.
	enhanced string
	// lines are the texts, without reply code.
	lines []string
}

// readReply reads one reply. The reader's buffer must have maxReplyLine octets.
func readReply(r *bufio.Reader) (reply, error) {
	var answer reply
	for range maxReplyLines {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return reply{}, errReplyTooLong
		}
		if err != nil {
			return reply{}, err
		}
		code, last, text, ok := parseReplyLine(line)
		if !ok || answer.code != 0 && code != answer.code {
			return reply{}, fmt.Errorf("%w: %q", errReplyMalformed, oneLine(string(line)))
		}
		answer.code = code
		answer.lines = append(answer.lines, text)
		if last {
			answer.enhanced = enhancedCode(answer.code, answer.lines[0])
			return answer, nil
		}
	}
	return reply{}, errReplyTooMany
}

// parseReplyLine takes a line with its line end apart. A line may be the bare code.
func parseReplyLine(line []byte) (code int, last bool, text string, ok bool) {
	s := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
	if len(s) < 3 {
		return 0, false, "", false
	}
	for _, c := range []byte(s[:3]) {
		if c < '0' || c > '9' {
			return 0, false, "", false
		}
		code = code*10 + int(c-'0')
	}
	if code < 200 || code > 599 {
		return 0, false, "", false
	}
	if len(s) == 3 {
		return code, true, "", true
	}
	if s[3] != ' ' && s[3] != '-' {
		return 0, false, "", false
	}
	return code, s[3] == ' ', s[4:], true
}

// enhancedCode returns the enhanced status code at the start of a text, when it fits the
// reply code (RFC 2034 §4: its class is the code's first digit).
func enhancedCode(code int, text string) string {
	word, _, _ := strings.Cut(text, " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 || parts[0] != string(rune('0'+code/100)) {
		return ""
	}
	for _, part := range parts {
		if part == "" || len(part) > 3 || strings.Trim(part, "0123456789") != "" {
			return ""
		}
	}
	return word
}

// text is the reply's text on one bounded line, without codes.
func (r reply) text() string {
	parts := make([]string, 0, len(r.lines))
	for _, line := range r.lines {
		if r.enhanced != "" {
			line = strings.TrimPrefix(line, r.enhanced)
		}
		if line = strings.TrimSpace(line); line != "" {
			parts = append(parts, line)
		}
	}
	return oneLine(strings.Join(parts, " "))
}

// String is the whole reply on one bounded line.
func (r reply) String() string { return formatReply(r.code, r.enhanced, r.text()) }

func formatReply(code int, enhanced, text string) string {
	parts := make([]string, 0, 3)
	if code != 0 {
		parts = append(parts, fmt.Sprint(code))
	}
	for _, part := range []string{enhanced, text} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, " ")
}

// oneLine makes text from outside fit for logs, bounces and status fields.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\r' || r == '\n':
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if len(s) <= maxReplyText {
		return s
	}
	cut := maxReplyText
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}
