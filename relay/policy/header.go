package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/message"
)

// originators are the header fields that say who a message is from (RFC 5322 §3.6.2, §3.6.6).
// All of them are checked: programs differ in which one they show to the reader.
var originators = []string{"From", "Sender", "Resent-From", "Resent-Sender"}

// HeaderError is that a header does not say clearly who the message is from.
type HeaderError struct{ text string }

func (e *HeaderError) Error() string { return e.text }

// CheckHeader returns a *DeniedError unless the user may send as every address of every
// field that says who the message is from (RFC 6409 §6.1), and a *HeaderError where that
// cannot be read or is said twice: the next to read it could read something else.
func CheckHeader(user *config.User, h *message.Header) error {
	if n := h.Count("From"); n > 1 {
		return &HeaderError{fmt.Sprintf("the message has %d From header fields: leave one (RFC 5322 section 3.6)", n)}
	}
	for _, field := range originators {
		if h.Empty(field) || field != "From" && maySendAsAny(user) {
			continue
		}
		if err := checkField(user, h, field); err != nil {
			return err
		}
	}
	return nil
}

func checkField(user *config.User, h *message.Header, field string) error {
	addresses, err := h.Addresses(field)
	if err != nil {
		return &HeaderError{fmt.Sprintf("the %s header field %v: write it as \"App <app@example.com>\"", field, err)}
	}
	for _, address := range addresses {
		var denied *DeniedError
		if err := CheckSender(user, address); errors.As(err, &denied) {
			denied.Field = field
			return denied
		}
		if maySendAsAny(user) {
			continue
		}
		if err := checkReading(address); err != nil {
			return &HeaderError{fmt.Sprintf("the %s header field has an address that cannot be used: %v", field, err)}
		}
	}
	return nil
}

// checkReading refuses an address that programs read, or show, as another one than the user's.
func checkReading(address string) error {
	a, err := message.ParseAddress(address, true)
	if err == nil && strings.Contains(a.LocalPart, "=?") {
		return errors.New("the part before the @ has an encoded word, which is allowed in names only (RFC 2047 section 5)")
	}
	return err
}
