package policy

import (
	"fmt"
	"strings"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

const (
	// AnySender in config.User.Senders lets the user send as any address.
	AnySender = "*"
	// NullSender in config.User.Senders lets the user send with the null reverse-path
	// (RFC 5321 §4.5.5). AnySender does not include it: an app that sends "<>" has lost its
	// sender's address by mistake, and would never hear of a bounce.
	NullSender = "<>"
)

// DeniedError is that a user may not send as an address.
type DeniedError struct {
	// User is the SASL name.
	User string
	// Sender is the address, empty for the null reverse-path.
	Sender string
}

// Error says what to change where.
func (e *DeniedError) Error() string {
	sender, entry := e.Sender, e.Sender
	if sender == "" {
		sender, entry = NullSender, NullSender
	}
	if domain, ok := domainOf(sender); ok {
		entry = domain
	}
	return fmt.Sprintf("user %s may not send as %s: allow %s in allowedSenders of the RelayUser and in the access rules of the MailRelay",
		e.User, sender, entry)
}

// CheckSender returns a *DeniedError unless the user may send as the address; the empty
// address is the null reverse-path. A user without senders may send as nobody.
//
// Case is ignored in the whole address, in ASCII: RFC 5321 §2.4 lets local-parts differ by
// case, but where two of them do they are one mailbox in practice, and refusing
// "App@example.com" to the user of "app@example.com" would protect nobody.
func CheckSender(user *config.User, address string) error {
	for _, allowed := range user.Senders {
		if covers(allowed, address) {
			return nil
		}
	}
	return &DeniedError{User: user.Name, Sender: address}
}

// MaySendAsAny reports whether the user may send as any address.
func MaySendAsAny(user *config.User) bool {
	for _, allowed := range user.Senders {
		if allowed == AnySender {
			return true
		}
	}
	return false
}

// covers reports whether one entry of a user's senders lets the address through.
func covers(allowed, address string) bool {
	switch {
	case address == "":
		return allowed == NullSender
	case allowed == AnySender:
		return true
	case strings.Contains(allowed, "@"):
		return foldASCII(allowed) == foldASCII(address)
	}
	domain, ok := domainOf(address)
	return ok && domain != "" && foldASCII(domain) == foldASCII(allowed)
}

// domainOf returns what follows the last "@", the only one that can be the separator.
func domainOf(address string) (domain string, ok bool) {
	at := strings.LastIndexByte(address, '@')
	return address[at+1:], at >= 0
}

// foldASCII lowers the letters A to Z only. Unicode folding would equal characters that are
// not the same address, such as the Kelvin sign and "k".
func foldASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
