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
)

// networkBits is how much of an IPv6 address counts: a host has all the rest to itself.
const networkBits = 64

// census counts the open connections, over all and by client address.
type census struct {
	limits Limits

	mu        sync.Mutex
	open      int
	byAddress map[netip.Addr]int
}

func newCensus(l Limits) *census {
	return &census{limits: l, byAddress: make(map[netip.Addr]int)}
}

// admit counts a connection from addr, or says why it is one too many. What was admitted
// must be released.
func (c *census) admit(addr netip.Addr) refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.open >= c.limits.Connections:
		return refusedTotal
	case c.byAddress[addr] >= c.limits.PerAddress:
		return refusedAddress
	}
	c.open++
	c.byAddress[addr]++
	return admitted
}

func (c *census) release(addr netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	c.byAddress[addr]--
	if c.byAddress[addr] == 0 {
		delete(c.byAddress, addr)
	}
}

// clientAddr is the address that a connection counts for. An IPv4 client has one address,
// also where the socket shows it as IPv6; an IPv6 client counts with all of its /64.
func clientAddr(addr net.Addr) netip.Addr {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	own := tcp.AddrPort().Addr().Unmap()
	if network, err := own.Prefix(networkBits); err == nil && own.Is6() {
		return network.Addr()
	}
	return own
}
