package message

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"
)

// EncodeWords writes as encoded words (RFC 2047) what people read of the header and what is
// beyond ASCII: texts such as Subject, and names and comments beside addresses. Without
// SMTPUTF8 no server has to take such a header as it is, and with it few do.
//
// What is not UTF-8 stays as it is, since nobody knows what it means. So does a field that has
// encoded words already, as it could be read in two ways, and all of a header that is signed.
func (h *Header) EncodeWords() {
	if h.ASCII() || h.Count("DKIM-Signature") > 0 {
		return
	}
	size := 0
	for _, f := range h.fields {
		size += len(f.raw)
	}
	for i := range h.fields {
		f := &h.fields[i]
		raw := f.inWords()
		if size += len(raw) - len(f.raw); size > MaxHeaderBytes {
			return
		}
		f.raw = raw
	}
}

// inWords is the field with encoded words, or as it is where there can be none.
func (f *field) inWords() []byte {
	if isASCII(f.raw) || !utf8.Valid(f.raw) || bytes.Contains(f.raw, []byte("=?")) {
		return f.raw
	}
	name, rest, _ := strings.Cut(string(f.raw), ":")
	name = strings.TrimRight(name, " \t") + ":"
	value := strings.Trim(strings.ReplaceAll(rest, "\r\n", ""), " \t")
	w := wordWriter{longest: maxWordLine - len(name) - len(" ()")}
	switch f.name {
	case "subject", "comments", "content-description", "organization", "thread-topic":
		w.text(value)
	case "from", "sender", "reply-to", "to", "cc", "resent-from", "resent-sender", "resent-to", "resent-cc":
		w.mailboxes(value)
	default:
		return f.raw
	}
	if w.failed {
		return f.raw
	}
	return foldWords(name, " "+strings.Trim(w.out.String(), " "))
}

// maxWordLine is the longest line with an encoded word (RFC 2047 §2).
const maxWordLine = 76

// foldWords makes a field of a value, broken at white space where a line would get too long
// (RFC 5322 §2.2.3).
func foldWords(name, value string) []byte {
	out, column := []byte(name), len(name)
	for len(value) > 0 {
		word := strings.TrimLeft(value, " \t")
		blanks, end := len(value)-len(word), len(value)
		if i := strings.IndexAny(word, " \t"); i >= 0 {
			end = blanks + i
		}
		if blanks > 0 && column+end > maxWordLine {
			out, column = append(out, "\r\n"...), 0
		}
		out = append(out, value[:end]...)
		column += end
		value = value[end:]
	}
	return append(out, "\r\n"...)
}

// wordWriter writes the value of a field with encoded words.
type wordWriter struct {
	out strings.Builder
	// longest is the length of an encoded word for which any line of the field has room.
	longest int
	// address means that an address has begun outside of angle brackets.
	address bool
	// failed means that the value cannot be read, or has something beyond ASCII where no
	// encoded word may stand (RFC 2047 §5).
	failed bool
}

// plain writes what must be ASCII.
func (w *wordWriter) plain(s string) {
	w.failed = w.failed || !isASCII(s)
	w.out.WriteString(s)
}

// text writes unstructured text (RFC 5322 §2.2.1). Words of ASCII around the others stay.
func (w *wordWriter) text(s string) {
	beyond := func(r rune) bool { return r >= utf8.RuneSelf }
	start := strings.LastIndexAny(s[:strings.IndexFunc(s, beyond)], " \t") + 1
	end := strings.LastIndexFunc(s, beyond)
	if i := strings.IndexAny(s[end:], " \t"); i >= 0 {
		end += i
	} else {
		end = len(s)
	}
	w.plain(s[:start])
	w.words(s[start:end])
	w.plain(s[end:])
}

// mailboxes writes a list of addresses (RFC 5322 §3.4), names and comments in encoded words.
func (w *wordWriter) mailboxes(s string) {
	start := 0 // of what is not written yet
	for i := 0; i < len(s) && !w.failed; {
		end := i + 1
		switch s[i] {
		case '"':
			end = w.endOf(s, i, '"')
		case '@':
			w.address = true
		case '(':
			w.name(s[start:i])
			end = w.endOf(s, i, ')')
			w.comment(s[i:end])
			start = end
		case '<':
			w.name(s[start:i])
			end = w.endOf(s, i, '>')
			w.plain(s[i:end])
			start = end
		case ':': // of a group
			w.name(s[start:i])
			w.plain(":")
			w.address, start = false, end
		case ',', ';':
			w.plain(s[start:end])
			w.address, start = false, end
		}
		i = end
	}
	w.plain(s[start:])
}

// endOf returns the end of what is in quotes, a comment or angle brackets at i. A comment in a
// comment is more than it reads.
func (w *wordWriter) endOf(s string, i int, closing byte) int {
	for i++; i < len(s); i++ {
		switch c := s[i]; {
		case c == closing:
			return i + 1
		case c == '\\':
			i++
		case c == '(' && closing == ')':
			w.failed = true
		}
	}
	w.failed = true
	return len(s)
}

// comment writes a comment (RFC 5322 §3.2.2).
func (w *wordWriter) comment(s string) {
	if isASCII(s) {
		w.plain(s)
		return
	}
	w.plain("(")
	w.words(unquoted(s[1:len(s)-1], ""))
	w.plain(")")
}

// name writes a phrase (RFC 5322 §3.2.5), which an address is not.
func (w *wordWriter) name(s string) {
	if isASCII(s) {
		w.plain(s)
		return
	}
	w.failed = w.failed || w.address
	w.plain(" ")
	w.words(unquoted(strings.Trim(s, " \t"), `"`))
	w.plain(" ")
}

// unquoted is what a phrase or a comment says, without quoting backslashes and other marks.
func unquoted(s, marks string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
		case strings.IndexByte(marks, s[i]) >= 0:
			continue
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// words writes encoded words of whole characters: in Q, which people can still read, or in
// base64 where most of it is beyond ASCII.
func (w *wordWriter) words(s string) {
	s = strings.ReplaceAll(s, "\t", " ")
	kind, encode, size := "q", encodeQ, sizeQ
	if sizeQ(s) > 2*len(s) {
		kind, encode, size = "b", encodeB, sizeB
	}
	room := w.longest - len("=?utf-8?q??=")
	for separator := ""; s != ""; separator = " " {
		end := 0
		for end < len(s) {
			_, n := utf8.DecodeRuneInString(s[end:])
			if size(s[:end+n]) > room {
				break
			}
			end += n
		}
		w.plain(separator + "=?utf-8?" + kind + "?" + encode(s[:end]) + "?=")
		s = s[end:]
	}
}

func encodeB(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func sizeB(s string) int { return base64.StdEncoding.EncodedLen(len(s)) }

// encodeQ is the Q encoding (RFC 2047 §4.2), in the form that is right in phrases too (§5).
func encodeQ(s string) string {
	var out strings.Builder
	for _, c := range []byte(s) {
		switch {
		case c == ' ':
			out.WriteByte('_')
		case isPlainQ(c):
			out.WriteByte(c)
		default:
			fmt.Fprintf(&out, "=%02X", c)
		}
	}
	return out.String()
}

func sizeQ(s string) int {
	size := 0
	for _, c := range []byte(s) {
		if size++; c != ' ' && !isPlainQ(c) {
			size += 2
		}
	}
	return size
}

func isPlainQ(c byte) bool {
	return isLetterDigit(rune(c)) || strings.IndexByte("!*+-/", c) >= 0
}
