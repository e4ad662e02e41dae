package delivery

import (
	"slices"
	"testing"
	"time"
)

func TestPausesDoubleUpToTheLongest(t *testing.T) {
	t.Parallel()
	b := backoff{time.Minute, 30 * time.Minute}
	var got []time.Duration
	for n := 1; n <= 8; n++ {
		got = append(got, b.after(n)/time.Minute)
	}
	if want := []time.Duration{1, 2, 4, 8, 16, 30, 30, 30}; !slices.Equal(got, want) {
		t.Errorf("pauses %v, want %v minutes", got, want)
	}
	if pause := b.after(1 << 40); pause != 30*time.Minute {
		t.Errorf("pause %s after very many failures", pause)
	}
	if pause := (backoff{time.Hour, time.Minute}).after(1); pause != time.Minute {
		t.Errorf("pause %s is longer than the longest", pause)
	}
}

func TestPausesVaryByAFifth(t *testing.T) {
	t.Parallel()
	for random, want := range map[float64]time.Duration{0: 80 * time.Second, 0.5: 100 * time.Second, 1: 120 * time.Second} {
		if got := spread(100*time.Second, random); got != want {
			t.Errorf("spread(100s, %v) = %s, want %s", random, got, want)
		}
	}
}

func TestGate(t *testing.T) {
	t.Parallel()
	now := newFakeClock().now
	fault := &Error{Class: ClassConnect}
	var g gate
	if got := g.limit(now, 8); got != 1 {
		t.Fatalf("an upstream never used gets %d attempts, want 1", got)
	}
	g.succeed(0)
	if got := g.limit(now, 8); got != 8 {
		t.Fatalf("an upstream in use gets %d attempts, want 8", got)
	}
	pauses := []time.Duration{1, 2, 4, 8, 16, 30, 30}
	for _, pause := range pauses {
		g.fail(g.generation, fault, now)
		if until := now.Add(pause * time.Second); !g.until.Equal(until) {
			t.Fatalf("held until %s, want %s", g.until, until)
		}
		if g.limit(now, 8) != 0 || g.limit(g.until, 8) != 1 {
			t.Fatal("a held upstream gets nothing, then one attempt")
		}
		now = g.until
	}
	if g.fail(g.generation-1, fault, now) || g.succeed(g.generation-1) {
		t.Error("an attempt that began before the fault counts")
	}
	g.fail(g.generation, &Error{Class: ClassAuthentication}, now)
	if !g.until.Equal(now.Add(time.Minute)) {
		t.Errorf("a first refused login holds for %s", g.until.Sub(now))
	}
	if !g.succeed(g.generation) || g.limit(now, 8) != 8 {
		t.Error("the upstream is not open after a success")
	}
	g.fail(g.generation, fault, now)
	if !g.until.Equal(now.Add(time.Second)) {
		t.Error("failures from before the success count")
	}
	g.reset()
	if g.limit(now, 8) != 1 {
		t.Error("a new configuration is not tried at once")
	}
}
