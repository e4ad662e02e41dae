package sasl

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

const (
	cacheSize     = 4096
	cacheLifetime = 10 * time.Minute
)

// loginHash stands for a user name and a password.
type loginHash [sha256.Size]byte

// cache remembers logins that worked. An entry is worth nothing once its user has changed
// or its time is over; the time is counted from the check, and use does not extend it.
type cache struct {
	size     int
	lifetime time.Duration
	now      func() time.Time

	mu      sync.Mutex
	entries map[loginHash]cacheEntry
}

type cacheEntry struct {
	user    *config.User
	expires time.Time
}

func newCache(size int, lifetime time.Duration, now func() time.Time) *cache {
	return &cache{size: size, lifetime: lifetime, now: now, entries: make(map[loginHash]cacheEntry)}
}

// has reports whether the login worked before for this very user.
func (c *cache) has(login loginHash, user *config.User) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[login]
	if !ok {
		return false
	}
	if e.user != user || !c.now().Before(e.expires) {
		delete(c.entries, login)
		return false
	}
	return true
}

// add remembers a login, at the cost of others when the cache is full.
func (c *cache) add(login loginHash, user *config.User) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= c.size {
		c.makeRoom()
	}
	c.entries[login] = cacheEntry{user: user, expires: c.now().Add(c.lifetime)}
}

// makeRoom drops what has expired, and if that is nothing any one entry: to lose one costs
// a check, no more.
func (c *cache) makeRoom() {
	now := c.now()
	before := len(c.entries)
	for login, e := range c.entries {
		if !now.Before(e.expires) {
			delete(c.entries, login)
		}
	}
	if len(c.entries) < before {
		return
	}
	for login := range c.entries {
		delete(c.entries, login)
		return
	}
}
