//go:build load

package volume

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
	"github.com/mailrelay-dev/mailrelay-operator/test/stand"
	"github.com/mailrelay-dev/mailrelay-operator/test/traffic"
)

// TestLoadMillion starts a relay with a million messages in its queue, whose upstream is down,
// and compares it with one whose queue is nearly empty.
func TestLoadMillion(t *testing.T) {
	const messages, rounds, limit = 1_000_000, 5, 1000
	empty, _ := newStand(t, nil)
	full, u := newStand(t, func([]byte) string { return "" })
	began := time.Now()
	fill(t, full.Spool(), messages)
	t.Logf("%d messages put into the spool in %v", messages, time.Since(began).Round(time.Second))

	began = time.Now()
	r := start(t, full)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the start took %v", took)
	}
	atRest(t, r)
	t.Logf("everything is taken in after %v; resident: %d MB", time.Since(began).Round(time.Millisecond), memory(t, r, "VmRSS"))
	start(t, empty)

	var withNone, withMany []float64
	for range rounds {
		withNone = append(withNone, rate(t, empty))
		withMany = append(withMany, rate(t, full))
	}
	slices.Sort(withNone)
	slices.Sort(withMany)
	t.Logf("accepted a second: %.0f with an empty queue, %.0f with a full one", withNone[rounds/2], withMany[rounds/2])
	if withMany[rounds/2] < 0.8*withNone[rounds/2] {
		t.Error("a full queue makes it slower by more than a fifth")
	}
	peak := memory(t, r, "VmHWM")
	t.Logf("resident: %d MB at most", peak)
	if peak > limit {
		t.Errorf("more than %d MB", limit)
	}

	u.open.Store(true)
	began = time.Now()
	for before := queued(t, r); queued(t, r) == before; time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatal("the first message is not there within a minute after the upstream is back")
		}
	}
	t.Logf("the first message is there %v after the upstream is back", time.Since(began).Round(time.Second))
	began, before := time.Now(), queued(t, r)
	time.Sleep(10 * time.Second)
	t.Logf("%.0f messages a second are delivered", (before-queued(t, r))/time.Since(began).Seconds())
}

func queued(t *testing.T, r *stand.Relay) float64 {
	t.Helper()
	n, err := r.Metric(t.Context(), "mailrelay_queue_messages")
	must(t, err)
	return n
}

// fill puts messages into a spool.
func fill(t *testing.T, directory string, messages int64) {
	t.Helper()
	store, err := spool.Open(spool.Options{Directory: directory})
	must(t, err)
	content := traffic.AppendMessage(nil, 1, 1<<10)
	var next atomic.Int64
	var writers sync.WaitGroup
	for range 64 {
		writers.Go(func() {
			for next.Add(1) <= messages && !t.Failed() {
				if err := put(store, content); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	must(t, store.Close())
}

func put(store *spool.Store, content []byte) error {
	d, err := store.Create(context.Background())
	if err != nil {
		return err
	}
	defer d.Abort()
	if _, err := d.Write(content); err != nil {
		return err
	}
	return d.Commit(context.Background(), &spool.Envelope{
		Accepted: time.Now(), User: stand.User, ReversePath: traffic.Sender,
		Recipients: []spool.Recipient{{Address: traffic.Recipient}}, MessageID: "<1@traffic.test>",
	})
}

// rate is how many messages a second are accepted.
func rate(t *testing.T, s *stand.Stand) float64 {
	t.Helper()
	result, err := traffic.Load{
		Target: s.Target, Connections: 20, PerConnection: 100, Size: 1 << 10, Duration: 3 * time.Second,
	}.Run(t.Context())
	must(t, err)
	return float64(result.Accepted) / result.Ended.Sub(result.Began).Seconds()
}

// atRest waits until a relay does nothing.
func atRest(t *testing.T, r *stand.Relay) {
	t.Helper()
	before, err := stand.UsageOf(r.PID())
	must(t, err)
	for {
		time.Sleep(500 * time.Millisecond)
		now, err := stand.UsageOf(r.PID())
		must(t, err)
		if now.CPU-before.CPU < 50*time.Millisecond {
			return
		}
		before = now
	}
}
