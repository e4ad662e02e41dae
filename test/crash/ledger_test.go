package crash

import (
	"errors"
	"sync"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/test/traffic"
)

// ledger is what clients were promised and what the sink got.
type ledger struct {
	mu sync.Mutex
	// life is the number of the relay's process.
	life     int
	accepted map[uint64]bool
	// delivered are the lives in which each message came.
	delivered map[uint64][]int
	faults    []error
}

func newLedger() *ledger {
	return &ledger{accepted: make(map[uint64]bool), delivered: make(map[uint64][]int)}
}

func (l *ledger) accept(number uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted[number] = true
}

// deliver is what the sink does with each message.
func (l *ledger) deliver(content []byte) string {
	number, err := traffic.Check(content)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.faults = append(l.faults, err)
	}
	if !errors.Is(err, traffic.ErrUnmarked) {
		l.delivered[number] = append(l.delivered[number], l.life)
	}
	return ""
}

// begin notes that another process of the relay begins.
func (l *ledger) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.life++
}

// counts sum a ledger up.
type counts struct {
	accepted, delivered, lost, corrupt, unasked int
	// duplicates are deliveries beyond the first of a message, and worst how many of the
	// messages that one life delivered came again later.
	duplicates, worst int
	// within counts messages that one life delivered twice.
	within int
}

func (l *ledger) count() counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := counts{accepted: len(l.accepted), delivered: len(l.delivered), corrupt: len(l.faults)}
	for number := range l.accepted {
		if len(l.delivered[number]) == 0 {
			c.lost++
		}
	}
	again := make(map[int]int)
	for number, lives := range l.delivered {
		if !l.accepted[number] {
			c.unasked++
		}
		c.duplicates += len(lives) - 1
		for i, life := range lives[:len(lives)-1] {
			again[life]++
			if lives[i+1] == life {
				c.within++
			}
		}
	}
	for _, n := range again {
		c.worst = max(c.worst, n)
	}
	return c
}

// check wants all that was accepted to have arrived as it was, and nothing twice but what was
// under way when the relay was killed: a message on each connection, and as many whose outcome
// was being written.
func (l *ledger) check(t *testing.T) {
	t.Helper()
	c := l.count()
	t.Logf("%d accepted, %d delivered (%d of them without a 250 that arrived), %d lost, %d corrupt",
		c.accepted, c.delivered, c.unasked, c.lost, c.corrupt)
	t.Logf("%d delivered again, %d of one life at most, %d in the same life", c.duplicates, c.worst, c.within)
	if c.accepted == 0 {
		t.Error("nothing was accepted")
	}
	if c.lost > 0 || c.corrupt > 0 {
		t.Errorf("%d messages are lost, %d corrupt: %v", c.lost, c.corrupt, errors.Join(l.faults...))
	}
	if c.worst > 2*connections {
		t.Errorf("a kill had %d messages delivered again, more than can have been under way", c.worst)
	}
	if c.within > 0 {
		t.Errorf("%d messages were delivered twice without a kill between", c.within)
	}
}
