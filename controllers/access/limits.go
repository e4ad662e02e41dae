package access

import (
	"slices"

	"k8s.io/utils/ptr"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/share"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// smallestSize is that of the smallest message with a header. A limit below it, or below
// nothing, is meant to refuse, and must not be taken for none.
const smallestSize = 1 << 10

// Limit gives a user of a relay's configuration all limits of the decision. Rates and queue
// belong to the relay, so each of its pods gets an equal share.
func (d Decision) Limit(user *config.User, pods int32) {
	for i := range d.Limits {
		limits := &d.Limits[i]
		if r := limits.Recipients; len(r.Allow)+len(r.Deny) > 0 {
			user.Recipients = append(user.Recipients, config.Recipients{Allow: r.Allow, Deny: r.Deny})
		}
		if limits.MaxSize != nil {
			user.MaxSize = smaller(user.MaxSize, max(limits.MaxSize.Value(), smallestSize))
		}
		user.MaxRecipients = smaller(user.MaxRecipients, int(ptr.Deref(limits.MaxRecipients, 0)))
		if limits.Rate != nil {
			limitRate(user, limits.Rate, max(int(pods), 1))
		}
	}
}

func limitRate(user *config.User, rate *v1alpha1.Rate, pods int) {
	user.Rates = append(user.Rates, share.Rates(rate.Messages, rate.Recipients, rate.Period, pods)...)
	if rate.OnExceed == config.OnExceedRefuse {
		user.OnExceed = config.OnExceedRefuse
	}
	// Each rate has a quota, the default if need be: leaving it out must not make room for a
	// larger one of another rate.
	queued := config.DefaultMaxQueued
	if rate.MaxQueued != nil {
		queued = share.Count(int(*rate.MaxQueued), pods)
	}
	user.MaxQueued = smaller(user.MaxQueued, queued)
}

// badRecipient finds an entry of a list that the relay could not read.
func badRecipient(limits []v1alpha1.SendingLimits) (entry string, bad bool) {
	for i := range limits {
		for _, entry := range slices.Concat(limits[i].Recipients.Allow, limits[i].Recipients.Deny) {
			if !config.IsPattern(entry) {
				return entry, true
			}
		}
	}
	return "", false
}

// smaller is the smaller of two limits; 0 is none.
func smaller[N int | int32 | int64](a, b N) N {
	if a == 0 || b == 0 {
		return a + b
	}
	return min(a, b)
}
