package delivery

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPath is the longest address: 256 octets with its angle brackets (RFC 5321 §4.5.3.1.3).
const maxPath = 254

// wireSafe reports whether an address can stand between angle brackets in a command without
// ending them. Addresses were checked when they were accepted; this is the last look before
// text from outside becomes a command.
func wireSafe(address string) bool {
	if address == "" || len(address) > maxPath || !utf8.ValidString(address) {
		return false
	}
	return !strings.ContainsFunc(address, func(r rune) bool {
		return r == '<' || r == '>' || r == unicode.ReplacementChar || unicode.IsSpace(r) || unicode.IsControl(r)
	})
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
