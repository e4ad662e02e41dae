package config

import "strings"

const (
	longestHostname = 253
	longestLabel    = 63
	// RFC 5321 §4.5.3.1.1.
	longestLocalPart = 64
	// RFC 5321 §4.5.3.1.3, without angle brackets.
	longestAddress  = 254
	longestUserName = 255
)

// isHostname reports whether s is a DNS name of letters, digits and hyphens (RFC 1123
// §2.1), in ASCII.
func isHostname(s string) bool {
	if s == "" || len(s) > longestHostname {
		return false
	}
	for label := range strings.SplitSeq(lowerASCII(s), ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

// isLabel reports whether s is a DNS label in lower case.
func isLabel(s string) bool {
	if s == "" || len(s) > longestLabel || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	})
}

// isAddress reports whether s is local-part@domain without quotes, comments or spaces.
func isAddress(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > longestLocalPart {
		return false
	}
	return !strings.ContainsFunc(s[:at], isNotAtext) && isHostname(s[at+1:])
}

// isNotAtext reports what a dot-atom (RFC 5322 §3.2.3, RFC 6531 §3.3) cannot hold.
func isNotAtext(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`"(),:;<>@[\]`, r) }

// isUserName reports whether s can be a SASL user name: text without control characters.
func isUserName(s string) bool {
	if s == "" || len(s) > longestUserName {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' })
}
