package spool

import (
	"container/list"
	"sync"
)

const (
	// recentBytes bounds what recent keeps.
	recentBytes = 8 << 20
	// envelopeBytes is about what an envelope takes in memory, and recipientBytes each of its
	// recipients.
	envelopeBytes, recipientBytes = 512, 128
)

// recent are messages that were just committed. Nearly all are delivered at once and removed
// again, and need not be read back for that. The oldest make room for new ones; a message
// whose envelope changes is no longer recent.
type recent struct {
	mu    sync.Mutex
	byID  map[string]*list.Element
	order list.List // of *message, the oldest first
	bytes int
}

// message is a whole message, but for content that is in a file. It does not change.
type message struct {
	content  content
	envelope *Envelope
	// body is nil where the content is in a file.
	body []byte
}

func (m *message) bytes() int {
	return len(m.body) + envelopeBytes + recipientBytes*len(m.envelope.Recipients)
}

func newRecent() *recent { return &recent{byID: make(map[string]*list.Element)} }

// add keeps a message.
func (r *recent) add(m *message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byID[m.envelope.ID] = r.order.PushBack(m)
	r.bytes += m.bytes()
	for r.bytes > recentBytes {
		r.forget(r.order.Front())
	}
}

// get returns a message, nil when it is not recent.
func (r *recent) get(id string) *message {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.byID[id]; ok {
		return e.Value.(*message)
	}
	return nil
}

// drop forgets messages that changed or are gone.
func (r *recent) drop(ids ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if e, ok := r.byID[id]; ok {
			r.forget(e)
		}
	}
}

func (r *recent) forget(e *list.Element) {
	m := r.order.Remove(e).(*message)
	r.bytes -= m.bytes()
	delete(r.byID, m.envelope.ID)
}
