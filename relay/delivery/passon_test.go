package delivery

import (
	"context"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// slowSpool removes nothing until it is let go.
type slowSpool struct {
	spool.Spool
	letGo chan struct{}
}

func (s slowSpool) Remove(ctx context.Context, ids ...string) error {
	<-s.letGo
	return s.Spool.Remove(ctx, ids...)
}

// TestUpstreamDoesNotWaitForTheDisk wants the next messages to go out while outcomes are
// written, but no more deliveries unrecorded than twice the connections.
func TestUpstreamDoesNotWaitForTheDisk(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	const connections, messages = 8, 30
	slow := slowSpool{r.store.Spool, make(chan struct{})}
	for range messages {
		r.submit("app@example.com", "a@x.test")
	}
	r.store.Spool = slow
	r.run()
	eventually(t, "unrecorded deliveries", func() bool { return r.first().transactions() == 2*connections })
	r.scheduler.mu.Lock()
	u := r.scheduler.upstreams[0]
	if u.active != connections || u.recording != connections {
		t.Errorf("%d attempts and %d outcomes under way", u.active, u.recording)
	}
	r.scheduler.mu.Unlock()
	close(slow.letGo)
	r.gone()
	if n := r.first().transactions(); n != messages || r.first().peak > connections {
		t.Errorf("%d transactions, %d at once", n, r.first().peak)
	}
	if u.active != 0 || u.recording != 0 {
		t.Errorf("at rest %d attempts and %d outcomes are under way", u.active, u.recording)
	}
}

// TestFailedAttemptKeepsItsPlace: what it learnt must be known before another attempt starts.
func TestFailedAttemptKeepsItsPlace(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().answer = func(int, string) *Error {
		return &Error{Class: ClassConnect, Step: StepConnect, Temporary: true}
	}
	for range 10 {
		r.submit("app@example.com", "a@x.test")
	}
	r.run()
	r.rest()
	if n := r.first().transactions(); n != 1 {
		t.Errorf("%d attempts at an upstream that is down", n)
	}
}
