package delivery

import (
	"container/heap"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// entry is what is kept in memory of a message of the queue: of those of its recipients that
// take the same route. A queue can have a million of them, so whatever is needed only at an
// attempt stays in the spool.
type entry struct {
	id string
	// accepted and due are nanoseconds since 1970.
	accepted, due int64
	// lane is that of the user who submitted it.
	lane  *lane
	route *route
	// recipients that are pending.
	recipients int
	// pin is the only upstream that may be tried; nil for any of the route.
	pin *pin
	// sibling is another part of the same message, and the last one's is the first; nil when
	// there is only one.
	sibling *entry
	// busy means that an attempt is under way, or that what it brought is not recorded yet.
	busy bool
	// parked means that the entry is due and waits for an attempt at a sibling, or a notice of
	// delay, to end: two at a time would overwrite what the other one wrote.
	parked bool
}

// pin keeps a message at an upstream that may have taken it. After a while a second copy is
// the lesser evil: the upstream may never come back.
type pin struct {
	upstream string
	until    time.Time
}

// look takes over from the envelope what concerns the entry's recipients.
func (e *entry) look(envelope *spool.Envelope, all routes) {
	e.recipients, e.pin = 0, nil
	for _, i := range pending(envelope, all, e.route) {
		e.recipients++
		if r := &envelope.Recipients[i]; r.Upstream != "" {
			e.pin = &pin{r.Upstream, r.UpstreamUntil}
		}
	}
}

// pending are the indices of the recipients of a route that have no outcome yet.
func pending(envelope *spool.Envelope, all routes, of *route) []int {
	var indices []int
	for i := range envelope.Recipients {
		r := &envelope.Recipients[i]
		if r.Outcome == spool.Pending && (len(all) == 1 || all.of(envelope.ReversePath, r.Address) == of) {
			indices = append(indices, i)
		}
	}
	return indices
}

// expired reports whether the lifetime is over, less the time in which nobody but an
// administrator could have done something.
func (e *entry) expired(now time.Time, lifetime time.Duration) bool {
	accepted := time.Unix(0, e.accepted)
	return now.Sub(accepted)-e.route.suspended.within(accepted, now) >= lifetime
}

// siblings are the entry and all other parts of its message.
func (e *entry) siblings() []*entry {
	all := []*entry{e}
	for s := e.sibling; s != nil && s != e; s = s.sibling {
		all = append(all, s)
	}
	return all
}

// unlink takes the entry out of its message. It returns another part, nil when there is none.
func (e *entry) unlink() *entry {
	next := e.sibling
	if next == nil {
		return nil
	}
	last := next
	for last.sibling != e {
		last = last.sibling
	}
	last.sibling = next
	if next.sibling == next {
		next.sibling = nil
	}
	e.sibling = nil
	return next
}

// waitsForSibling reports whether an attempt at another part of the message is under way.
func (e *entry) waitsForSibling() bool {
	for s := e.sibling; s != nil && s != e; s = s.sibling {
		if s.busy {
			return true
		}
	}
	return false
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

// byPin orders messages that are kept at an upstream: those that may leave it first.
func byPin() entryHeap { return entryHeap{key: func(e *entry) int64 { return e.pin.until.UnixNano() }} }

// byTurn orders messages of one user that the rates hold back: by when each came, or came due
// again. Ordered by age, messages that are deferred again and again would use the rates up and
// new ones would never go.
func byTurn() entryHeap {
	return entryHeap{key: func(e *entry) int64 { return max(e.due, e.accepted) }}
}
