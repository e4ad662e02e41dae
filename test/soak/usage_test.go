//go:build soak

package soak

import (
	"context"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/test/stand"
)

// usage is what the relay used over time.
type usage struct {
	relay   *stand.Relay
	samples []sample
}

type sample struct{ memory, goroutines float64 }

// watch takes samples until ctx is done.
func (u *usage) watch(ctx context.Context, t *testing.T) {
	ticker := time.NewTicker(sampling)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		used, err := stand.UsageOf(u.relay.PID())
		if err != nil {
			t.Error(err)
			return
		}
		goroutines, err := u.relay.Metric(ctx, "go_goroutines")
		if err != nil && ctx.Err() == nil {
			t.Error(err)
			return
		}
		u.samples = append(u.samples, sample{float64(used.Memory) / (1 << 20), goroutines})
	}
}

// check compares the second quarter of the time, when caches are filled, with the last one.
func (u *usage) check(t *testing.T) {
	t.Helper()
	n := len(u.samples)
	if n < 8 {
		t.Fatalf("%d samples tell nothing: let it last longer", n)
	}
	early, late := mean(u.samples[n/4:n/2]), mean(u.samples[n-n/4:])
	t.Logf("memory %.1f MiB, later %.1f MiB; goroutines %.0f, later %.0f; %d samples", early.memory, late.memory, early.goroutines, late.goroutines, n)
	if late.memory > 1.25*early.memory {
		t.Error("memory grows")
	}
	if late.goroutines > 1.25*early.goroutines {
		t.Error("goroutines grow")
	}
}

func mean(samples []sample) sample {
	var sum sample
	for _, s := range samples {
		sum.memory += s.memory
		sum.goroutines += s.goroutines
	}
	n := float64(len(samples))
	return sample{sum.memory / n, sum.goroutines / n}
}
