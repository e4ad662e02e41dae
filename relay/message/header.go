package message

import (
	"bytes"
	"slices"
	"strings"
)

// Header is the header section of a message (RFC 5322 §2.2), its fields in order and
// unaltered but for line ends.
type Header struct {
	fields []field
}

// field is one header field with its continuation lines.
type field struct {
	name string // in lower case
	raw  []byte // name, colon, value and line ends
}

// value is the field's body, unfolded and trimmed.
func (f field) value() string {
	_, v, _ := bytes.Cut(f.raw, []byte(":"))
	return strings.TrimSpace(string(bytes.ReplaceAll(v, []byte("\r\n"), nil)))
}

// addLine adds a line with its CRLF. It reports false when the line is no part of a header.
func (h *Header) addLine(line []byte) bool {
	if line[0] == ' ' || line[0] == '\t' {
		if len(h.fields) == 0 {
			return false
		}
		last := &h.fields[len(h.fields)-1]
		last.raw = append(last.raw, line...)
		return true
	}
	name, ok := fieldName(line)
	if !ok {
		return false
	}
	h.fields = append(h.fields, field{name: name, raw: line})
	return true
}

// fieldName returns the name of a field's first line in lower case. White space between
// name and colon is obsolete syntax (RFC 5322 §4.5) that some parsers read and some do not,
// so a field must not escape notice by it.
func fieldName(line []byte) (string, bool) {
	name, _, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return "", false
	}
	name = bytes.TrimRight(name, " \t")
	if len(name) == 0 {
		return "", false
	}
	for _, c := range name {
		if c <= ' ' || c > '~' {
			return "", false
		}
	}
	return strings.ToLower(string(name)), true
}

// isBcc reports whether a field of that name, in lower case, lists those who get a blind copy.
func isBcc(name string) bool { return name == "bcc" || name == "resent-bcc" }

// Count returns how many fields have the name.
func (h *Header) Count(name string) int {
	n := 0
	for _, f := range h.fields {
		if strings.EqualFold(f.name, name) {
			n++
		}
	}
	return n
}

// Empty reports whether no field of the name, in any case, has a value.
func (h *Header) Empty(name string) bool {
	return !slices.ContainsFunc(h.fields, func(f field) bool {
		return strings.EqualFold(f.name, name) && f.value() != ""
	})
}

// maxMessageID is the longest line of a message (RFC 5322 §2.1.1).
const maxMessageID = 998

// MessageID returns the first Message-ID that is not empty, with its angle brackets, cut
// off where no honest one goes on.
func (h *Header) MessageID() string {
	for _, f := range h.fields {
		if f.name == "message-id" {
			if v := f.value(); v != "" {
				return v[:min(len(v), maxMessageID)]
			}
		}
	}
	return ""
}

// ASCII reports whether all of the header is ASCII. One that is not needs SMTPUTF8
// (RFC 6532 §3).
func (h *Header) ASCII() bool {
	return !slices.ContainsFunc(h.fields, func(f field) bool { return !isASCII(f.raw) })
}

// appendTo writes the header with the empty line that ends it.
func (h *Header) appendTo(b *bytes.Buffer) {
	for _, f := range h.fields {
		b.Write(f.raw)
	}
	b.WriteString("\r\n")
}

// remove drops the fields for which drop returns true.
func (h *Header) remove(drop func(field) bool) {
	kept := h.fields[:0]
	for _, f := range h.fields {
		if !drop(f) {
			kept = append(kept, f)
		}
	}
	h.fields = kept
}
