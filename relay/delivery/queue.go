package delivery

import (
	"container/heap"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// entry is what is kept in memory of each message of the queue. A queue can have a million
// of them, so whatever is needed only at an attempt stays in the spool.
type entry struct {
	id string
	// accepted and due are nanoseconds since 1970.
	accepted, due int64
	// lane is that of the user who submitted it.
	lane *lane
	// recipients that are pending.
	recipients int
	// pinned is the name of the only upstream that may be tried, empty for any.
	pinned string
}

// pending counts the recipients that have no outcome yet.
func pending(e *spool.Envelope) int {
	n := 0
	for _, r := range e.Recipients {
		if r.Outcome == spool.Pending {
			n++
		}
	}
	return n
}

func (e *entry) expired(now time.Time, lifetime time.Duration) bool {
	return now.UnixNano()-e.accepted >= int64(lifetime)
}

// entryHeap is a heap of entries with the smallest key on top.
type entryHeap struct {
	entries []*entry
	key     func(*entry) int64
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (h *entryHeap) Len() int           { return len(h.entries) }
func (h *entryHeap) Less(i, j int) bool { return h.key(h.entries[i]) < h.key(h.entries[j]) }
func (h *entryHeap) Swap(i, j int)      { h.entries[i], h.entries[j] = h.entries[j], h.entries[i] }
func (h *entryHeap) Push(x any)         { h.entries = append(h.entries, x.(*entry)) }

func (h *entryHeap) Pop() any {
	last := len(h.entries) - 1
	e := h.entries[last]
	h.entries[last] = nil
	h.entries = h.entries[:last]
	return e
}

func (h *entryHeap) add(e *entry) { heap.Push(h, e) }

func (h *entryHeap) next() *entry { return heap.Pop(h).(*entry) }

// top is the next entry, nil when there is none.
func (h *entryHeap) top() *entry {
	if len(h.entries) == 0 {
		return nil
	}
	return h.entries[0]
}

// byDue orders messages that wait.
func byDue() entryHeap { return entryHeap{key: func(e *entry) int64 { return e.due }} }

// byAge orders messages that are due: the oldest first, which is also the first to expire.
func byAge() entryHeap { return entryHeap{key: func(e *entry) int64 { return e.accepted }} }

// byTurn orders messages of one user that the rates hold back: by when each came, or came due
// again. Ordered by age, messages that are deferred again and again would use the rates up and
// new ones would never go.
func byTurn() entryHeap {
	return entryHeap{key: func(e *entry) int64 { return max(e.due, e.accepted) }}
}
