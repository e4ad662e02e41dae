package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// DeniedError is that a user may not send as an address.
type DeniedError struct {
	// User is the SASL name.
	User string
	// Sender is the address, empty for the null reverse-path.
	Sender string
	// Field is the header field that has the address, empty for the envelope.
	Field string
	// Allowed are the senders that the user has.
	Allowed []string
}

// Error says who may not send as whom, what is allowed, and where to change it.
func (e *DeniedError) Error() string {
	sender := e.Sender
	if sender == "" {
		sender = config.NullSender
	}
	if e.Field != "" {
		sender += " in the " + e.Field + " header field"
	}
	return fmt.Sprintf("user %s may not send as %s: allowed is %s, by allowedSenders of the RelayUser and the access rules of the MailRelay",
		e.User, sender, e.allowed())
}

// allowed is as much of Allowed as fits into a reply.
func (e *DeniedError) allowed() string {
	const shown, longest = 5, 200
	switch text := strings.Join(e.Allowed, ", "); {
	case text == "":
		return "nobody"
	case len(e.Allowed) <= shown && len(text) <= longest:
		return text
	}
	return fmt.Sprintf("%s or one of %d others", e.Allowed[0], len(e.Allowed)-1)
}

// CheckSender returns a *DeniedError unless the user may send as the address; the empty
// address is the null reverse-path. A user without senders may send as nobody.
func CheckSender(user *config.User, address string) error {
	for _, allowed := range user.Senders {
		if covers(allowed, address) {
			return nil
		}
	}
	return &DeniedError{User: user.Name, Sender: address, Allowed: user.Senders}
}

// covers reports whether one entry of a user's senders lets the address through.
func covers(allowed, address string) bool {
	if address == "" {
		return allowed == config.NullSender
	}
	return strings.Contains(address, "@") && config.Covers(allowed, address)
}

func maySendAsAny(user *config.User) bool { return slices.Contains(user.Senders, config.AnySender) }
