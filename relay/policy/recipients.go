package policy

import (
	"fmt"
	"slices"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// RecipientError is that nobody may send to an address.
type RecipientError struct {
	// Recipient is the address.
	Recipient string
	// Listed is true for one on the deny list, false for one that is not on the allow list.
	Listed bool
}

// Error says where to change it.
func (e *RecipientError) Error() string {
	if e.Listed {
		return fmt.Sprintf("this relay does not send to %s: message.recipients.deny of the MailRelay has it", e.Recipient)
	}
	return fmt.Sprintf("this relay does not send to %s: message.recipients.allow of the MailRelay does not have it", e.Recipient)
}

// CheckRecipient returns a *RecipientError unless the lists let the address through.
func CheckRecipient(lists config.Recipients, address string) error {
	covers := func(entry string) bool { return config.Covers(entry, address) }
	switch {
	case slices.ContainsFunc(lists.Deny, covers):
		return &RecipientError{Recipient: address, Listed: true}
	case len(lists.Allow) > 0 && !slices.ContainsFunc(lists.Allow, covers):
		return &RecipientError{Recipient: address}
	}
	return nil
}
