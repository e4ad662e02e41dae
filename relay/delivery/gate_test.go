package delivery

import (
	"testing"
	"time"
)

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
		g.fail(g.generation, fault, now, 8)
		if until := now.Add(pause * time.Second); !g.until.Equal(until) {
			t.Fatalf("held until %s, want %s", g.until, until)
		}
		if g.limit(now, 8) != 0 || g.limit(g.until, 8) != 1 {
			t.Fatal("a held upstream gets nothing, then one attempt")
		}
		now = g.until
	}
	if g.fail(g.generation-1, fault, now, 8) || g.succeed(g.generation-1) {
		t.Error("an attempt that began before the fault counts")
	}
	g.fail(g.generation, &Error{Class: ClassAuthentication}, now, 8)
	if !g.until.Equal(now.Add(time.Minute)) {
		t.Errorf("a first refused login holds for %s", g.until.Sub(now))
	}
	if !g.succeed(g.generation) || g.limit(now, 8) != 1 {
		t.Error("the upstream is not open for one after a success")
	}
	g.fail(g.generation, fault, now, 8)
	if !g.until.Equal(now.Add(time.Second)) {
		t.Error("failures from before the success count")
	}
	g.reset()
	if g.limit(now, 8) != 1 {
		t.Error("a new configuration is not tried at once")
	}
}

func TestWindowOfAnUpstreamThatIsBackWidensWithEachDelivery(t *testing.T) {
	t.Parallel()
	now := newFakeClock().now
	var g gate
	g.succeed(0)
	g.fail(0, &Error{Class: ClassConnect}, now, 8)
	g.succeed(1)
	for want := 1; want <= 8; want++ {
		if got := g.limit(now, 8); got != want {
			t.Fatalf("%d attempts at once after %d deliveries", got, want-1)
		}
		g.grow(1, 8)
	}
}

func TestWindowOfAnUpstreamThatWantsLessIsHalvedAndGrowsSlowly(t *testing.T) {
	t.Parallel()
	now := newFakeClock().now
	var g gate
	g.succeed(0)
	g.fail(0, &Error{Class: ClassThrottle}, now, 8)
	if g.limit(now, 8) != 0 || g.limit(g.until, 8) != 4 {
		t.Fatalf("%d attempts now, %d after the pause; want 0 and 4", g.limit(now, 8), g.limit(g.until, 8))
	}
	g.fail(1, &Error{Class: ClassThrottle}, g.until, 8)
	g.succeed(2)
	for round, want := range []int{2, 3, 4, 5, 6, 7} {
		if got := g.limit(now, 8); got != want {
			t.Errorf("%d attempts at once in round %d, want %d", got, round, want)
		}
		for range int(g.window) + 1 {
			g.grow(2, 8)
		}
	}
	g.grow(1, 8)
	for range 100 {
		g.grow(2, 8)
	}
	if g.window != 0 || g.limit(now, 8) != 8 {
		t.Errorf("the window is %v, want none", g.window)
	}
}
