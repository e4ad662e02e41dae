package spool

import (
	"slices"
	"sync"
)

// keyLocks are locks by queue id. A record is read, changed and written back under its
// lock, so that an update cannot bring back a message that is being removed.
type keyLocks struct {
	mu   sync.Mutex
	free sync.Cond
	held map[string]struct{}
}

func newKeyLocks() *keyLocks {
	k := &keyLocks{held: make(map[string]struct{})}
	k.free.L = &k.mu
	return k
}

// lock takes the locks of all ids at once, which rules out a deadlock of two callers who
// name them in different order. What it returns lets go of them.
func (k *keyLocks) lock(ids []string) (unlock func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for slices.ContainsFunc(ids, k.isHeld) {
		k.free.Wait()
	}
	for _, id := range ids {
		k.held[id] = struct{}{}
	}
	return func() { k.unlock(ids) }
}

func (k *keyLocks) isHeld(id string) bool {
	_, held := k.held[id]
	return held
}

func (k *keyLocks) unlock(ids []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range ids {
		delete(k.held, id)
	}
	k.free.Broadcast()
}
