package sasl

import (
	"sync"
	"time"
)

// memory is a map that forgets: it holds at most size entries, each for a lifetime from
// when it was last put in. Reading an entry does not extend it.
type memory[K comparable, V any] struct {
	size     int
	lifetime time.Duration
	now      func() time.Time

	mu      sync.Mutex
	entries map[K]entry[V]
}

type entry[V any] struct {
	value   V
	expires time.Time
}

func newMemory[K comparable, V any](size int, lifetime time.Duration, now func() time.Time) *memory[K, V] {
	return &memory[K, V]{size: size, lifetime: lifetime, now: now, entries: make(map[K]entry[V])}
}

// update puts in what change makes of the value there was, the zero value when there was
// none, and returns it.
func (m *memory[K, V]) update(key K, change func(V) V) V {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.entries[key]
	if !m.now().Before(old.expires) {
		old = entry[V]{}
	}
	if len(m.entries) >= m.size {
		m.makeRoom()
	}
	value := change(old.value)
	m.entries[key] = entry[V]{value: value, expires: m.now().Add(m.lifetime)}
	return value
}

// get returns the value of a key, the zero value when there is none.
func (m *memory[K, V]) get(key K) V {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[key]
	if !m.now().Before(e.expires) {
		delete(m.entries, key)
		return entry[V]{}.value
	}
	return e.value
}

// makeRoom drops what has expired, and if that is nothing any one entry: whoever uses a
// memory can do without an entry.
func (m *memory[K, V]) makeRoom() {
	now := m.now()
	before := len(m.entries)
	for key, e := range m.entries {
		if !now.Before(e.expires) {
			delete(m.entries, key)
		}
	}
	if len(m.entries) < before {
		return
	}
	for key := range m.entries {
		delete(m.entries, key)
		return
	}
}
