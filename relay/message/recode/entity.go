package recode

import (
	"bytes"
	"strings"
)

// kind is what an entity (RFC 2045 §2.4) is made of.
type kind int

const (
	leaf     kind = iota
	parted        // parts between delimiters
	enclosed      // another message
	opaque        // octets that must not change, or that nobody understands
)

// entity is a message or a part of one.
type entity struct {
	index int
	kind  kind
	// isMessage means that the header is that of a message, the outermost or an enclosed one.
	isMessage bool
	inDigest  bool // the default type is message/rfc822 (RFC 2046 §5.1.5)

	// boundary of a multipart; opened after its first delimiter, closed after its last.
	boundary string
	opened   bool
	closed   bool
	digest   bool

	// encoding is the Content-Transfer-Encoding in lower case; empty is 7bit.
	encoding string
	// typed means that there is a Content-Type; text that it is a text type.
	typed, text bool
	// signed, huge: why an entity is opaque.
	signed, huge bool
}

// identity reports whether the entity's content stands for itself.
func (e *entity) identity() bool {
	switch e.encoding {
	case "", "7bit", "8bit", "binary":
		return true
	}
	return false
}

// maxBoundary is more than the 70 octets of RFC 2046 §5.1.1: a longer one is still a boundary.
const maxBoundary = 200

// classify reads what the header says of the content.
func (e *entity) classify(header []byte) {
	fields := splitFields(header)
	value := fields.value("content-type")
	e.typed = value != ""
	contentType := strings.ToLower(firstWord(value))
	if contentType == "" {
		contentType = "text/plain"
		if e.inDigest {
			contentType = "message/rfc822"
		}
	}
	major, minor, _ := strings.Cut(contentType, "/")
	e.text = major == "text"
	e.encoding = transferEncoding(fields.value("content-transfer-encoding"), e.text || major == "multipart")
	switch {
	case contentType == "multipart/signed":
		e.kind, e.signed = opaque, true
	case !e.identity():
		e.kind = leaf
	case major == "multipart":
		e.boundary = parameter(value, "boundary")
		e.digest = minor == "digest"
		e.kind = parted
		if !validBoundary(e.boundary) {
			e.kind = opaque
		}
	case contentType == "message/rfc822" || contentType == "message/global":
		e.kind = enclosed
	case major == "message":
		// RFC 2046 §5.2: these allow no encoding.
		e.kind = opaque
	}
}

// transferEncoding returns a Content-Transfer-Encoding in lower case. Programs write "8-bit",
// "utf-8" or quotes there: for plain content, text or parts, an unknown one is read as 8bit, as
// mail programs do. An encoding whose name says that it is a private one (RFC 2045 §6.3) stays.
func transferEncoding(value string, plain bool) string {
	encoding := strings.ToLower(strings.Trim(firstWord(value), `"'`))
	switch encoding {
	case "", "7bit", "8bit", "binary", "quoted-printable", "base64", "uuencode":
		return encoding
	}
	if plain && !strings.HasPrefix(encoding, "x-") {
		return "8bit"
	}
	return encoding
}

func validBoundary(s string) bool {
	if s == "" || len(s) > maxBoundary || strings.HasSuffix(s, " ") {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// firstWord is what a value begins with, up to white space, a parameter or a comment.
func firstWord(value string) string {
	value = strings.TrimLeft(value, " \t")
	if i := strings.IndexAny(value, " \t;("); i >= 0 {
		value = value[:i]
	}
	return value
}

// parameter returns a parameter of a structured value (RFC 2045 §5.1), empty when there is none.
func parameter(value, name string) string {
	for rest := afterSemicolon(value); rest != ""; rest = afterSemicolon(rest) {
		key, v, ok := strings.Cut(rest, "=")
		if !ok || !strings.EqualFold(strings.TrimSpace(key), name) {
			continue
		}
		v = strings.TrimLeft(v, " \t")
		if quoted, ok := strings.CutPrefix(v, `"`); ok {
			return unquote(quoted)
		}
		// Not a comment either: "boundary=----=_Part(1)" is often written without its quotes.
		if end := strings.IndexAny(v, "; \t"); end >= 0 {
			v = v[:end]
		}
		return v
	}
	return ""
}

// afterSemicolon is what follows the first semicolon outside quotes.
func afterSemicolon(s string) string {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ';' && !quoted:
			return s[i+1:]
		}
	}
	return ""
}

// unquote reads up to the closing quote.
func unquote(s string) string {
	var out strings.Builder
	for i := 0; i < len(s) && s[i] != '"'; i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// fields are the fields of a header, each with its continuation lines and line ends.
type fields [][]byte

// splitFields cuts a header into its fields. The empty line at its end is a field of its own.
func splitFields(header []byte) fields {
	var out fields
	for len(header) > 0 {
		n := bytes.IndexByte(header, '\n') + 1
		if n == 0 {
			n = len(header)
		}
		for n > 2 && n < len(header) && (header[n] == ' ' || header[n] == '\t') {
			next := bytes.IndexByte(header[n:], '\n') + 1
			if next == 0 {
				next = len(header) - n
			}
			n += next
		}
		out = append(out, header[:n])
		header = header[n:]
	}
	return out
}

func isNamed(field []byte, name string) bool {
	got, _, ok := bytes.Cut(field, []byte(":"))
	return ok && strings.EqualFold(string(bytes.TrimRight(got, " \t")), name)
}

// value is the unfolded value of the first field of a name, empty when there is none.
func (f fields) value(name string) string {
	for _, field := range f {
		if isNamed(field, name) {
			_, v, _ := bytes.Cut(field, []byte(":"))
			return strings.TrimSpace(string(bytes.ReplaceAll(v, []byte("\r\n"), nil)))
		}
	}
	return ""
}

func (f fields) has(name string) bool {
	for _, field := range f {
		if isNamed(field, name) {
			return true
		}
	}
	return false
}
