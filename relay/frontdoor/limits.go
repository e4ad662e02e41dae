package frontdoor

import (
	"net"
	"sync"
)

// census counts open connections, in all and by client address.
type census struct {
	limits Limits

	mu        sync.Mutex
	total     int
	byAddress map[string]int
}

func newCensus(limits Limits) *census {
	return &census{limits: limits, byAddress: map[string]int{}}
}

// enter counts a connection, or reports that it is one too many.
func (c *census) enter(address string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.total >= c.limits.Connections || c.byAddress[address] >= c.limits.PerAddress {
		return false
	}
	c.total++
	c.byAddress[address]++
	return true
}

func (c *census) leave(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if c.byAddress[address]--; c.byAddress[address] == 0 {
		delete(c.byAddress, address)
	}
}

// clientAddress is the address without its port.
func clientAddress(conn net.Conn) string {
	host, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		return conn.RemoteAddr().String()
	}
	return host
}
