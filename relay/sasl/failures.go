package sasl

import (
	"crypto/rand"
	"net/netip"
	"time"
)

const (
	countedFailures = 8192
	failureLifetime = 15 * time.Minute
	// freeFailures are answered at once: a person's slips, or the tries of a few pods that
	// still have yesterday's password.
	freeFailures = 3
	// freeOfNetwork are answered at once whichever users they claim: those of a whole node
	// may come from one address.
	freeOfNetwork = 30

	firstDelay   = 500 * time.Millisecond
	longestDelay = 5 * time.Second
	// networkBits is how much of an IPv6 address counts: a host has all the rest to itself.
	networkBits = 64
)

// Failures counts failed logins over all connections, by claimed user and client network and
// by network alone. What it holds is bounded; when it is full a count may be forgotten early.
// It may be used by many at once.
type Failures struct {
	key      string
	counts   *memory[pairHash, int]
	networks *memory[string, int]
}

// NewFailures makes a count; the clock may be nil for the real one.
func NewFailures(now func() time.Time) *Failures {
	if now == nil {
		now = time.Now
	}
	return &Failures{
		key:      rand.Text(),
		counts:   newMemory[pairHash, int](countedFailures, failureLifetime, now),
		networks: newMemory[string, int](countedFailures, failureLifetime, now),
	}
}

// Record counts a failed login and returns how long to hold back its answer: nothing for
// the first few of the user or the network, then twice as long each time, up to five seconds.
// It is not asked about logins that work, so that nobody can slow them down.
func (f *Failures) Record(user string, client netip.Addr) time.Duration {
	from := network(client)
	ofUser := f.counts.update(hashPair([]byte(f.key), user, from), increment)
	ofNetwork := f.networks.update(from, increment)
	return max(delayAfter(ofUser-freeFailures), delayAfter(ofNetwork-freeOfNetwork))
}

func increment(n int) int { return n + 1 }

// delayAfter is the delay of a failure by how many there were, beyond those that are free.
func delayAfter(failures int) time.Duration {
	if failures <= 0 {
		return 0
	}
	delay := firstDelay
	for range failures - 1 {
		if delay >= longestDelay {
			break
		}
		delay *= 2
	}
	return min(delay, longestDelay)
}

// network is what of an address counts.
func network(client netip.Addr) string {
	if client.Is6() {
		if prefix, err := client.Prefix(networkBits); err == nil {
			return prefix.String()
		}
	}
	return client.String()
}
