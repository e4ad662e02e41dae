package config

import (
	"strings"

	"golang.org/x/net/idna"
)

const (
	// AnySender in User.Senders lets the user send as any address.
	AnySender = "*"
	// NullSender in User.Senders lets the user send with the null reverse-path (RFC 5321
	// §4.5.5). AnySender does not include it: an app that sends "<>" has lost its sender's
	// address by mistake, and would never hear of a bounce.
	NullSender = "<>"
)

// IsPattern reports whether s stands for addresses: one ("app@example.com"), those of a
// domain ("example.com") or those of all its sub-domains, at any depth ("*.example.com").
func IsPattern(s string) bool {
	s = strings.TrimPrefix(s, "*.")
	// Whoever writes "*@example.com" does not mean a mailbox of that name.
	return !strings.Contains(s, "*") && (isAddress(s) || isHostname(s))
}

// IsSender reports whether an entry of User.Senders has a meaning.
func IsSender(s string) bool { return s == AnySender || s == NullSender || IsPattern(s) }

// Covers reports whether an entry of User.Senders, or a pattern of recipients, includes all
// that another one stands for; an address stands for itself. Any two entries are apart
// unless one covers the other.
//
// Case is ignored in the whole address, in ASCII: RFC 5321 §2.4 lets local-parts differ by
// case, but where two of them do they are one mailbox in practice, and refusing
// "App@example.com" to the user of "app@example.com" would protect nobody.
func Covers(entry, other string) bool {
	// No address is longer, and what an A-label takes to make grows with the square of it.
	if len(other) > longestAddress {
		return false
	}
	entry, other = fold(entry), fold(other)
	if other == NullSender || entry == NullSender {
		return entry == other
	}
	at := strings.LastIndexByte(other, '@')
	domain := other[at+1:]
	switch {
	case entry == "" || domain == "":
		return false
	case entry == AnySender || entry == other:
		return true
	// What stands there only in quotes is read in more ways than one.
	case at == 0, at > 0 && strings.ContainsFunc(other[:at], isNotAtext):
		return false
	case strings.HasPrefix(entry, "*."):
		return strings.HasSuffix(domain, entry[1:])
	}
	return entry == domain
}

// fold writes an entry or address so that equal ones are the same bytes.
func fold(s string) string {
	s = lowerASCII(s)
	at := strings.LastIndexByte(s, '@') + 1
	// Entries have A-labels (RFC 5890 §2.3.2.1), addresses may have U-labels (RFC 6531 §3.3).
	domain, err := idna.Punycode.ToASCII(s[at:])
	if err != nil {
		return s
	}
	return s[:at] + domain
}

// lowerASCII lowers the letters A to Z only. Unicode folding would equal characters that are
// not the same name, such as the Kelvin sign and "k".
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
