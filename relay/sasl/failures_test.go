package sasl

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestFailuresAreSlowedByUserAndAddress(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	f := NewFailures(func() time.Time { return now })
	here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	ms := time.Millisecond
	for i, want := range []time.Duration{0, 0, 0, 500 * ms, 1000 * ms, 2000 * ms, 4000 * ms, 5000 * ms, 5000 * ms} {
		if got := f.Record("u", here); got != want {
			t.Errorf("failure %d is held back for %v, want %v", i+1, got, want)
		}
	}
	if got := f.Record("u", there); got != 0 {
		t.Errorf("another address is held back for %v", got)
	}
	if got := f.Record("v", here); got != 0 {
		t.Errorf("another user is held back for %v", got)
	}
	now = now.Add(failureLifetime)
	if got := f.Record("u", here); got != 0 {
		t.Errorf("after a quiet time a failure is held back for %v", got)
	}
}

func TestFailuresOfAnIPv6NetworkAreOne(t *testing.T) {
	t.Parallel()
	f := NewFailures(nil)
	for i := range freeFailures {
		f.Record("u", netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i)))
	}
	if f.Record("u", netip.MustParseAddr("2001:db8::ffff:1")) == 0 {
		t.Error("another address of the same network is not held back")
	}
	if f.Record("u", netip.MustParseAddr("2001:db8:0:1::1")) != 0 {
		t.Error("another network is held back")
	}
	if f.Record("u", netip.Addr{}) != 0 {
		t.Error("an unknown address is one of the network")
	}
}

// TestFailuresOfManyUsersAreSlowedByNetwork: whoever tries one password for every name has a
// first failure of each.
func TestFailuresOfManyUsersAreSlowedByNetwork(t *testing.T) {
	t.Parallel()
	f := NewFailures(nil)
	here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for i := range freeOfNetwork {
		if got := f.Record(fmt.Sprintf("user%d", i), here); got != 0 {
			t.Errorf("failure %d is held back for %v", i+1, got)
		}
	}
	for i, want := range []time.Duration{firstDelay, 2 * firstDelay, 4 * firstDelay, 8 * firstDelay, longestDelay, longestDelay} {
		if got := f.Record(fmt.Sprintf("other%d", i), here); got != want {
			t.Errorf("failure %d beyond the free ones is held back for %v, want %v", i+1, got, want)
		}
	}
	if got := f.Record("user0", there); got != 0 {
		t.Errorf("another network is held back for %v", got)
	}
}

func TestFailuresAreBounded(t *testing.T) {
	t.Parallel()
	f := NewFailures(nil)
	client := netip.MustParseAddr("192.0.2.1")
	for i := range countedFailures + 100 {
		client = client.Next()
		f.Record(fmt.Sprintf("user%d", i), client)
	}
	if users, networks := len(f.counts.entries), len(f.networks.entries); users > countedFailures || networks > countedFailures {
		t.Errorf("%d counts of users and %d of networks are held", users, networks)
	}
}
