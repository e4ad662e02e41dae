package frontdoor

import (
	"crypto/tls"
	"net"
	"net/netip"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestCensusCaps(t *testing.T) {
	t.Parallel()
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	c := newCensus(Limits{Connections: 3, PerAddress: 2})
	steps := []struct {
		addr netip.Addr
		want refusal
	}{
		{a, admitted}, {a, admitted}, {a, refusedAddress}, {b, admitted}, {b, refusedTotal},
	}
	for i, s := range steps {
		if got := c.admit(s.addr); got != s.want {
			t.Errorf("step %d: got %q, want %q", i, got, s.want)
		}
	}
	c.release(a)
	if got := c.admit(b); got != admitted {
		t.Errorf("after a release: got %q", got)
	}
	for _, addr := range []netip.Addr{a, b, b} {
		c.release(addr)
	}
	if c.open != 0 || len(c.byAddress) != 0 || len(c.byNetwork) != 0 {
		t.Errorf("%d connections, %d addresses and %d networks are left over", c.open, len(c.byAddress), len(c.byNetwork))
	}
}

// Pods of a cluster share a /64, and one host may have one: neither is the other's limit.
func TestNetworkOfIPv6LeavesHalfForOthers(t *testing.T) {
	t.Parallel()
	c := newCensus(Limits{Connections: 8, PerAddress: 2})
	first := netip.MustParseAddr("2001:db8::1")
	for range 2 {
		if got := c.admit(first); got != admitted {
			t.Fatalf("the first address: got %q", got)
		}
	}
	if got := c.admit(first); got != refusedAddress {
		t.Errorf("one address more often than it may: got %q", got)
	}
	second, third := first.Next(), netip.MustParseAddr("2001:db8::ffff:0:0:9")
	for _, addr := range []netip.Addr{second, third} {
		if got := c.admit(addr); got != admitted {
			t.Errorf("a neighbour: got %q", got)
		}
	}
	if got := c.admit(second); got != refusedNetwork {
		t.Errorf("more than half from one network: got %q", got)
	}
	for _, other := range []string{"2001:db8:0:1::1", "192.0.2.1"} {
		if got := c.admit(netip.MustParseAddr(other)); got != admitted {
			t.Errorf("%s of another network: got %q", other, got)
		}
	}
	c.release(first)
	if got := c.admit(second); got != admitted {
		t.Errorf("after a release: got %q", got)
	}
}

func TestClientAddr(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"192.0.2.1":        "192.0.2.1",
		"::ffff:192.0.2.1": "192.0.2.1",
		"2001:db8::1":      "2001:db8::1",
	} {
		if got := clientAddr(&net.TCPAddr{IP: net.ParseIP(from), Port: 1}); got != netip.MustParseAddr(want) {
			t.Errorf("%s counts for %v, want %s", from, got, want)
		}
	}
	zoned := &net.TCPAddr{IP: net.ParseIP("fe80::1"), Port: 1, Zone: "eth0"}
	if got := clientAddr(zoned); got != netip.MustParseAddr("fe80::1") {
		t.Errorf("an address with a zone counts for %v", got)
	}
	if got := clientAddr(&net.UnixAddr{}); got.IsValid() {
		t.Errorf("got %v for an address that is none", got)
	}
}

func TestAFullRelayRefusesAndRecovers(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *Options) { o.Limits.PerAddress = 2 })
	first, _ := h.dialTLS(t), h.dialStartTLS(t)
	dial(t, h.smtps).expectEnd()
	refused := dial(t, h.smtp)
	refused.expect("421 4.7.0")
	refused.expectEnd()
	for _, service := range []string{"submissions", "submission"} {
		if n := testutil.ToFloat64(h.metrics.refused.WithLabelValues(service, "address")); n != 1 {
			t.Errorf("%s: counted %v refusals", service, n)
		}
		if n := testutil.ToFloat64(h.metrics.current.WithLabelValues(service)); n != 1 {
			t.Errorf("%s: %v connections are open", service, n)
		}
	}
	first.say("QUIT", "221 ")
	first.Close()
	waitFor(t, "a place is free", func() bool {
		conn, err := tls.Dial("tcp", h.smtps, &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// count is how many connections are open.
func (c *census) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}
