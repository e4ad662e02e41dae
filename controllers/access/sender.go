package access

import (
	"regexp"
	"strings"
)

var (
	// A local-part that needs no quotes (RFC 5322 §3.2.3, RFC 6531 §3.3); the relay takes no
	// other.
	localPart = regexp.MustCompile(`^[^\x00-\x20\x7f"(),:;<>@\[\]\\]{1,64}$`)
	hostname  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$`)
)

const longestHostname = 253

// valid reports whether the relay can read a sender: "*", a domain or an address.
func valid(sender string) bool {
	if sender == anySender {
		return true
	}
	domain := sender
	if at := strings.LastIndexByte(sender, '@'); at >= 0 {
		if !localPart.MatchString(sender[:at]) {
			return false
		}
		domain = sender[at+1:]
	}
	return len(domain) <= longestHostname && hostname.MatchString(domain)
}

// lowerDomains writes the domains in lower case, in which they are compared. The case of a
// local-part may matter (RFC 5321 §2.4).
func lowerDomains(senders []string) []string {
	lower := make([]string, len(senders))
	for i, s := range senders {
		at := strings.LastIndexByte(s, '@') + 1
		lower[i] = s[:at] + strings.ToLower(s[at:])
	}
	return lower
}
