package message

import (
	"bytes"
	"regexp"
	"strings"
)

// bareName is a display name that is not quoted, and one address in angle brackets.
var bareName = regexp.MustCompile(`^([^"<>()\\:;\x00-\x1f\x7f]+?)[ \t]*<([^"<>, \t]+)>$`)

// QuoteNames puts quotes around the display names of From and Sender, also when they are
// Resent, that need them and have none, as in "app@example.com <app@example.com>" and "Shop, Inc. <app@example.com>": many
// programs write them, and strict readers refuse them. What could be read in two ways stays as
// it is, for others to refuse.
func (h *Header) QuoteNames() {
	for i := range h.fields {
		if f := &h.fields[i]; f.namesSender() {
			f.quoteName()
		}
	}
}

func (f *field) quoteName() {
	value := f.value()
	if _, err := addressParser.ParseList(strings.ToValidUTF8(value, "?")); err == nil {
		return
	}
	parts := bareName.FindStringSubmatch(value)
	if parts == nil {
		return
	}
	name, address := parts[1], parts[2]
	// With both, the comma could stand between two addresses; quotes would take an encoded
	// word (RFC 2047 §5) for plain text.
	if strings.Contains(name, "@") && strings.Contains(name, ",") || strings.Contains(name, "=?") {
		return
	}
	colon := bytes.IndexByte(f.raw, ':') + 1
	f.raw = append(bytes.Clone(f.raw[:colon]), ` "`+name+`" <`+address+">\r\n"...)
}
