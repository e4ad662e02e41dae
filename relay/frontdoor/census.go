package frontdoor

import (
	"net"
	"net/netip"
	"sync"
)

// refusal is why a connection is not admitted.
type refusal string

const (
	admitted       refusal = ""
	refusedTotal   refusal = "total"
	refusedAddress refusal = "address"
	refusedNetwork refusal = "network"
)

// networkBits is how much of an IPv6 address names a network (RFC 4291 §2.5.1). One host outside
// may have all of it to itself, and so may all the pods of a cluster.
const networkBits = 64

// census counts the open connections, over all, by client address and by network of IPv6.
type census struct {
	limits Limits

	mu        sync.Mutex
	open      int
	byAddress map[netip.Addr]int
	byNetwork map[netip.Prefix]int
}

func newCensus(l Limits) *census {
	return &census{limits: l, byAddress: make(map[netip.Addr]int), byNetwork: make(map[netip.Prefix]int)}
}

// perNetwork is how many connections may come from one network of IPv6: a host that uses all of
// its addresses leaves half for others.
func (c *census) perNetwork() int { return max(c.limits.PerAddress, c.limits.Connections/2) }

// admit counts a connection from addr, or says why it is one too many. What was admitted
// must be released.
func (c *census) admit(addr netip.Addr) refusal {
	network := networkOf(addr)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.open >= c.limits.Connections:
		return refusedTotal
	case c.byAddress[addr] >= c.limits.PerAddress:
		return refusedAddress
	case network.IsValid() && c.byNetwork[network] >= c.perNetwork():
		return refusedNetwork
	}
	c.open++
	c.byAddress[addr]++
	if network.IsValid() {
		c.byNetwork[network]++
	}
	return admitted
}

func (c *census) release(addr netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	oneLess(c.byAddress, addr)
	if network := networkOf(addr); network.IsValid() {
		oneLess(c.byNetwork, network)
	}
}

// oneLess counts down, and forgets what is none.
func oneLess[K comparable](counts map[K]int, key K) {
	counts[key]--
	if counts[key] == 0 {
		delete(counts, key)
	}
}

// networkOf is the network of an IPv6 address, not valid for any other.
func networkOf(addr netip.Addr) netip.Prefix {
	if !addr.Is6() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(addr, networkBits).Masked()
}

// clientAddr is the address that a connection counts for. A client has the same one where the
// socket shows IPv4 as IPv6, and on whichever link it comes in.
func clientAddr(addr net.Addr) netip.Addr {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}
