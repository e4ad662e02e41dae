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

func TestFailuresAreBounded(t *testing.T) {
	t.Parallel()
	f := NewFailures(nil)
	for i := range countedFailures + 100 {
		f.Record(fmt.Sprintf("user%d", i), netip.MustParseAddr("192.0.2.1"))
	}
	if n := len(f.counts.entries); n > countedFailures {
		t.Errorf("%d counts are held", n)
	}
}
