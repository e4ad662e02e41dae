package policy

import "github.com/mailrelay-dev/mailrelay-operator/relay/config"

// MaxSize is the size of the largest message that the user may send, in bytes, given that of
// the relay; 0 for any.
func MaxSize(user *config.User, relay int64) int64 { return narrow(relay, user.MaxSize) }

// MaxRecipients is how many recipients a message of the user may have, given the limit of the
// relay; 0 for any number.
func MaxRecipients(user *config.User, relay int) int { return narrow(relay, user.MaxRecipients) }

// narrow is the smaller of two limits; 0 is none.
func narrow[N int | int64](a, b N) N {
	if a == 0 || b == 0 {
		return a + b
	}
	return min(a, b)
}
