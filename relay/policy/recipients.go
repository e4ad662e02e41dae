package policy

import (
	"fmt"
	"slices"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// RecipientError is that a user, or nobody at all, may send to an address.
type RecipientError struct {
	// User is the SASL name, empty when it is nobody at all.
	User string
	// Recipient is the address.
	Recipient string
	// Listed is true for one on the deny list, false for one that is not on the allow list.
	Listed bool
}

// Error says where to change it.
func (e *RecipientError) Error() string {
	who, where := "this relay does not", "message.recipients of the MailRelay"
	if e.User != "" {
		who, where = "user "+e.User+" may not", "recipients of the RelayUser or of an access rule"
	}
	how := "does not allow"
	if e.Listed {
		how = "denies"
	}
	return fmt.Sprintf("%s send to %s: %s %s it", who, e.Recipient, where, how)
}

// CheckRecipient returns a *RecipientError unless the relay's lists and all of the user's let
// the address through.
func CheckRecipient(relay config.Recipients, user *config.User, address string) error {
	if err := checkLists(relay, address); err != nil {
		return err
	}
	for _, lists := range user.Recipients {
		if err := checkLists(lists, address); err != nil {
			err.User = user.Name
			return err
		}
	}
	return nil
}

func checkLists(lists config.Recipients, address string) *RecipientError {
	covers := func(entry string) bool { return config.Covers(entry, address) }
	switch {
	case slices.ContainsFunc(lists.Deny, covers):
		return &RecipientError{Recipient: address, Listed: true}
	case len(lists.Allow) > 0 && !slices.ContainsFunc(lists.Allow, covers):
		return &RecipientError{Recipient: address}
	}
	return nil
}
