//go:build load

package volume

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/test/traffic"
)

// TestLoadLargeMessages has twenty clients submit 100 messages of 25 MB, which wait in the queue
// and are then delivered. The relay must not hold them in memory.
func TestLoadLargeMessages(t *testing.T) {
	const messages, clients, size, limit = 100, 20, 25_000_000, 200
	var arrived atomic.Int64
	s, u := newStand(t, func(content []byte) string {
		if _, err := traffic.Check(content); err != nil {
			t.Error(err)
		}
		arrived.Add(1)
		return ""
	})
	r := start(t, s)
	began := time.Now()
	var all sync.WaitGroup
	for i := range uint64(clients) {
		all.Go(func() {
			c, err := traffic.Dial(t.Context(), s.Target)
			if err != nil {
				t.Error(err)
				return
			}
			for number := i; number < messages; number += clients {
				if err := c.Send(traffic.AppendMessage(nil, number, size)); err != nil {
					t.Errorf("message %d: %v", number, err)
				}
			}
			_ = c.Quit()
		})
	}
	all.Wait()
	t.Logf("%d messages of %d MB from %d clients accepted in %v", messages, size/1_000_000, clients, time.Since(began).Round(time.Second))
	accepted, queued := memory(t, r, "VmHWM"), memory(t, r, "VmRSS")

	u.open.Store(true)
	began = time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	must(t, r.Drained(ctx))
	t.Logf("delivered in %v", time.Since(began).Round(time.Second))
	peak := memory(t, r, "VmHWM")
	t.Logf("resident: %d MB at most while they came, %d MB while they waited, %d MB at most in all", accepted, queued, peak)
	if arrived.Load() != messages {
		t.Errorf("%d messages arrived", arrived.Load())
	}
	if peak > limit {
		t.Errorf("more than %d MB", limit)
	}
}
