package crash

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/test/stand"
	"github.com/mailrelay-dev/mailrelay-operator/test/traffic"
)

// loads go on at the same time. Sizes are such that contents end up in the database in one
// piece and in several, and in a file.
var loads = []traffic.Load{
	{Connections: 8, PerConnection: 100, Size: 4 << 10},
	{Connections: 2, PerConnection: 1, Size: 4 << 10},
	{Connections: 2, PerConnection: 20, Size: 60 << 10},
	{Connections: 2, PerConnection: 20, Size: 300 << 10},
}

// TestKilledRelayLosesNothing kills the relay at random moments under load, most often while it
// takes mail, sometimes while it starts, and never gives it a new spool.
func TestKilledRelayLosesNothing(t *testing.T) {
	t.Parallel()
	book := newLedger()
	sink := &traffic.Sink{Message: book.deliver}
	s := newStand(t, sink)
	var numbers uint64
	for round := range *rounds {
		// A life is over when all it had sent has come.
		sink.Idle()
		book.begin()
		if round%5 == 4 {
			killStart(t, s)
			continue
		}
		numbers = killUnderLoad(t, s, book, numbers)
	}
	sink.Idle()
	book.begin()
	r, err := s.Start(t.Context())
	must(t, err)
	drain, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := r.Drained(drain); err != nil {
		t.Error(err)
	}
	if n, err := r.Metric(t.Context(), "mailrelay_quarantined_messages"); err != nil || n > 0 {
		t.Errorf("%v messages in quarantine, %v", n, err)
	}
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
	t.Logf("%d kills", *rounds)
	book.check(t)
}

// between is a random duration.
func between(shortest, longest time.Duration) time.Duration {
	return shortest + rand.N(longest-shortest)
}

// killStart kills a relay that has just been started, with the mail of its last life to read.
func killStart(t *testing.T, s *stand.Stand) {
	t.Helper()
	r, err := s.Launch()
	must(t, err)
	time.Sleep(between(5*time.Millisecond, 300*time.Millisecond))
	r.Kill()
}

// killUnderLoad kills a relay that takes and delivers mail. It returns the next message's number.
func killUnderLoad(t *testing.T, s *stand.Stand, book *ledger, from uint64) uint64 {
	t.Helper()
	const numbersOfALoad = 1 << 20
	r, err := s.Start(t.Context())
	must(t, err)
	var clients sync.WaitGroup
	for _, load := range loads {
		load.Target, load.From, load.Accepted, load.Duration = s.Target, from, book.accept, time.Minute
		from += numbersOfALoad
		clients.Go(func() {
			// It ends with the relay.
			_, _ = load.Run(t.Context())
		})
	}
	time.Sleep(between(5*time.Millisecond, 500*time.Millisecond))
	r.Kill()
	clients.Wait()
	return from
}
