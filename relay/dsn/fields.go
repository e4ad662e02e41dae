package dsn

import (
	"bytes"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// foldAt is the line length that RFC 5322 §2.1.1 asks for, without the space that a
	// continued line begins with.
	foldAt = 77
	// textWidth leaves room for an encoded character in a line of quoted-printable, which
	// has 76 at most.
	textWidth = 70
	// maxLine is the longest line allowed, without its CRLF (RFC 5321 §4.5.3.1.6).
	maxLine = 998
	// maxWord is where a word without a space in it is cut apart.
	maxWord = 900
	// quotedPrintable and eightBit are what content that is not short lines of 7 bits is sent
	// as (RFC 2045 §6).
	quotedPrintable = "quoted-printable"
	eightBit        = "8bit"
	// maxReply bounds what is taken over from a reply, in bytes.
	maxReply = 1000
)

// writeField writes a header field. The value has no line ends: who calls it sees to that.
func writeField(out *bytes.Buffer, name, value string) {
	out.WriteString(fold(name+": "+value, foldAt, "\r\n "))
	out.WriteString("\r\n")
}

// writeValue writes a header field whose value is to be found again as it was, and so is not
// folded.
func writeValue(out *bytes.Buffer, name, value string) {
	out.WriteString(name + ": " + cut(value, maxWord) + "\r\n")
}

// fold breaks a line at spaces where it gets longer than limit, and inside of words that no
// line could hold. The first word is never alone: a field must not begin with an empty line.
func fold(line string, limit int, lineBreak string) string {
	var out strings.Builder
	length := 0
	for i, word := range strings.Split(line, " ") {
		switch {
		case i == 0:
		case i > 1 && length+1+len(word) > limit:
			out.WriteString(lineBreak)
			length = 0
		default:
			out.WriteByte(' ')
			length++
		}
		for len(word) > maxWord {
			head := cut(word, maxWord)
			out.WriteString(head + lineBreak)
			word, length = word[len(head):], 0
		}
		out.WriteString(word)
		length += len(word)
	}
	return out.String()
}

// plain makes text from outside fit to be shown: one line of printable characters, with
// single spaces.
func plain(s string) string { return shown(s, isPrint) }

// ascii is plain with every other character replaced.
func ascii(s string) string { return shown(s, isASCIIPrint) }

func shown(s string, allowed func(rune) bool) string {
	s = strings.Join(strings.Fields(oneLine(s, allowed)), " ")
	if len(s) <= maxReply {
		return s
	}
	return cut(s, maxReply) + "..."
}

// oneLine replaces what would end a line or is not allowed.
func oneLine(s string, allowed func(rune) bool) string {
	return strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			return ' '
		case !allowed(c):
			return '?'
		}
		return c
	}, s)
}

// cut shortens a text to at most limit bytes, between two characters.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

func isPrint(c rune) bool { return c != utf8.RuneError && unicode.IsPrint(c) }

func isASCIIPrint(c rune) bool { return c >= ' ' && c <= '~' }

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool { return c > unicode.MaxASCII }) < 0
}

// safeToken reports whether s can be a host name or a part of a Message-ID.
func safeToken(s string) bool {
	outside := func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '.'
	}
	return s != "" && len(s) <= 255 && strings.IndexFunc(s, outside) < 0
}

// safeAddress reports whether s can stand in a field of addresses and be read there as what
// it is.
func safeAddress(s string) bool {
	if plain(s) != s || strings.Contains(s, " ") || len(s) > 320 {
		return false
	}
	parsed, err := mail.ParseAddress((&mail.Address{Address: s}).String())
	return err == nil && parsed.Address == s
}

// safeMessageID reports whether s can be referred to as a Message-ID.
func safeMessageID(s string) bool {
	if len(s) < 3 || len(s) > maxWord || s[0] != '<' || s[len(s)-1] != '>' {
		return false
	}
	bad := func(c rune) bool { return c <= ' ' || c >= unicode.MaxASCII || c == '<' || c == '>' }
	return strings.IndexFunc(s[1:len(s)-1], bad) < 0
}

// part is a body part. Its content has CRLF line ends.
type part struct {
	contentType, description string
	content                  []byte
	// encoding is the Content-Transfer-Encoding; empty for content of short 7-bit lines.
	encoding string
}

// newPart makes a part. The encoding is that of content which needs one.
func newPart(contentType, description string, content []byte, encoding string) *part {
	if isShort7Bit(content) {
		encoding = ""
	}
	return &part{contentType, description, content, encoding}
}

// write writes the part with the delimiter before it.
func (p *part) write(out *bytes.Buffer, boundary string) {
	out.WriteString("\r\n--" + boundary + "\r\n")
	writeField(out, "Content-Type", p.contentType)
	writeField(out, "Content-Description", p.description)
	if p.encoding != "" {
		writeField(out, "Content-Transfer-Encoding", p.encoding)
	}
	out.WriteString("\r\n")
	if p.encoding != quotedPrintable {
		out.Write(p.content)
		return
	}
	w := quotedprintable.NewWriter(out)
	// Neither can fail: they write to memory.
	_, _ = w.Write(p.content)
	_ = w.Close()
}

// isShort7Bit reports whether content can be sent as it is.
func isShort7Bit(content []byte) bool {
	bad := func(c byte) bool { return c != '\t' && (c < ' ' || c > '~') }
	for line := range bytes.SplitSeq(content, []byte("\r\n")) {
		if indexFunc(line, bad) >= 0 {
			return false
		}
	}
	return !hasLongLine(content)
}

func hasLongLine(content []byte) bool {
	for line := range bytes.SplitSeq(content, []byte("\r\n")) {
		if len(line) > maxLine {
			return true
		}
	}
	return false
}

func indexFunc(b []byte, f func(byte) bool) int {
	for i, c := range b {
		if f(c) {
			return i
		}
	}
	return -1
}
