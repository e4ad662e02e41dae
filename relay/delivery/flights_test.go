package delivery

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// farAway is a proxy in front of a server that holds everything up, and counts flights: how
// often the client spoke after it was spoken to.
type farAway struct {
	address *net.TCPAddr
	delay   time.Duration
	ctx     context.Context

	mu      sync.Mutex
	flights int
	// spokenTo means that the client got something since it spoke.
	spokenTo bool
}

// newFarAway makes round trips to a server take so long.
func newFarAway(t *testing.T, srv *server, roundTrip time.Duration) *farAway {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	f := &farAway{address: listener.Addr().(*net.TCPAddr), delay: roundTrip / 2, ctx: ctx, spokenTo: true}
	var copies sync.WaitGroup
	copies.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", srv.listener.Addr().String())
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { _ = near.Close(); _ = far.Close() })
			copies.Go(func() { f.carry(far, near, f.speaks, func() {}) })
			copies.Go(func() { f.carry(near, far, func() {}, f.isSpokenTo) })
		}
	})
	t.Cleanup(func() {
		stop()
		_ = listener.Close()
		copies.Wait()
	})
	return f
}

// carry brings what is read to its goal, later and in order.
func (f *farAway) carry(to, from net.Conn, sent, arrived func()) {
	type parcel struct {
		content []byte
		due     time.Time
	}
	parcels := make(chan parcel, 1024)
	var delivery sync.WaitGroup
	delivery.Go(func() {
		for p := range parcels {
			select {
			case <-time.After(time.Until(p.due)):
			case <-f.ctx.Done():
			}
			arrived()
			_, _ = to.Write(p.content)
		}
		_ = to.Close()
	})
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			break
		}
		sent()
		parcels <- parcel{append([]byte(nil), buffer[:n]...), time.Now().Add(f.delay)}
	}
	close(parcels)
	delivery.Wait()
}

func (f *farAway) speaks() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.spokenTo {
		f.flights++
		f.spokenTo = false
	}
}

func (f *farAway) isSpokenTo() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spokenTo = true
}

// count returns the flights so far.
func (f *farAway) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.flights
}

func TestRoundTripsOfAMessage(t *testing.T) {
	t.Parallel()
	const roundTrip = 50 * time.Millisecond
	recipients := []string{"a@x.test", "b@x.test", "c@x.test", "d@x.test"}
	tests := []struct {
		name     string
		keywords []string
		chunking bool
		flights  int
	}{
		{"stepwise", pipelining["stepwise"], false, 7},
		{"with PIPELINING", pipelining["pipelined"], false, 2},
		{"with PIPELINING and CHUNKING", chunking["in one flight"], true, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, script{mode: config.TLSImplicit, keywords: test.keywords})
			far := newFarAway(t, srv, roundTrip)
			u := srv.upstream()
			u.Port, u.Chunking = far.address.Port, test.chunking
			p := newTestPool(t, u)
			mustDeliver(t, p, mail(greeting))
			const messages = 3
			before, started := far.count(), time.Now()
			for range messages {
				mustDeliver(t, p, mail(greeting, recipients...))
			}
			took, flights := time.Since(started), far.count()-before
			t.Logf("%d flights and %s for %d messages", flights, took, messages)
			if flights != messages*test.flights || srv.connections() != 1 {
				t.Errorf("%d flights for %d messages on %d connections", flights, messages, srv.connections())
			}
			if least := time.Duration(messages*test.flights) * roundTrip; took < least {
				t.Errorf("%s, less than the %s that light takes: the proxy does not delay", took, least)
			}
		})
	}
}
