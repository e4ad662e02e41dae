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
	// maxReply bounds what is taken over from a reply, in bytes.
	maxReply = 1000
)

// writeField writes a header field. The value has no line ends: who calls it sees to that.
func writeField(out *bytes.Buffer, name, value string) {
	out.WriteString(fold(name+": "+value, foldAt, "\r\n "))
	out.WriteString("\r\n")
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
			cut := maxWord
			for !utf8.RuneStart(word[cut]) {
				cut--
			}
			out.WriteString(word[:cut] + lineBreak)
			word, length = word[cut:], 0
		}
		out.WriteString(word)
		length += len(word)
	}
	return out.String()
}

// plain makes text from outside fit to be shown: one line of printable characters, with
// single spaces.
func plain(s string) string {
	s = strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			return ' '
		case c == utf8.RuneError || !unicode.IsPrint(c):
			return '?'
		}
		return c
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= maxReply {
		return s
	}
	cut := maxReply
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}

// ascii is plain with every other character replaced.
func ascii(s string) string {
	return strings.Map(func(c rune) rune {
		if c > unicode.MaxASCII {
			return '?'
		}
		return c
	}, plain(s))
}

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

// writePart writes one body part. Its content has CRLF line ends; what does not fit into
// short 7-bit lines is encoded, so that any upstream can take the notification.
func writePart(out *bytes.Buffer, boundary, contentType, description string, content []byte) {
	out.WriteString("\r\n--" + boundary + "\r\n")
	encode := !isShort7Bit(content)
	if strings.HasPrefix(contentType, "text/plain") {
		contentType += "; charset=utf-8"
	}
	writeField(out, "Content-Type", contentType)
	writeField(out, "Content-Description", description)
	if !encode {
		out.WriteString("\r\n")
		out.Write(content)
		return
	}
	writeField(out, "Content-Transfer-Encoding", "quoted-printable")
	out.WriteString("\r\n")
	w := quotedprintable.NewWriter(out)
	// Neither can fail: they write to memory.
	_, _ = w.Write(content)
	_ = w.Close()
}

// isShort7Bit reports whether content can be sent as it is.
func isShort7Bit(content []byte) bool {
	for line := range bytes.SplitSeq(content, []byte("\r\n")) {
		bad := func(c byte) bool { return c != '\t' && (c < ' ' || c > '~') }
		if len(line) > maxLine || indexFunc(line, bad) >= 0 {
			return false
		}
	}
	return true
}

func indexFunc(b []byte, f func(byte) bool) int {
	for i, c := range b {
		if f(c) {
			return i
		}
	}
	return -1
}
