package delivery

import "time"

// Pauses of an upstream. A refused login is tried rarely, because upstreams lock accounts.
var (
	unreachable     = backoff{time.Second, 30 * time.Second}
	unauthenticated = backoff{time.Minute, 15 * time.Minute}
)

// gate holds back the mail of an upstream that cannot be used, lets one attempt at a time
// find out whether it can be again, and lets in what the upstream can bear.
type gate struct {
	// proven means that the upstream took mail since it last could not be used.
	proven bool
	// until is when the next attempt may start.
	until time.Time
	// fault is why the gate closed last, nil once the upstream took mail again.
	fault    *Error
	failures int
	// generation counts the faults. Attempts that started before a fault say nothing new.
	generation int
	// window is how many attempts at once the upstream bears; 0 when nothing but its
	// connections is known to limit them. Up to steep it grows with each delivery, from there
	// on by about one with each round of them.
	window, steep float64
}

// usable reports whether mail can be expected to get through. An upstream that wants less of
// it gets it all the same, slowly.
func (g *gate) usable() bool { return g.fault == nil || g.fault.Class == ClassThrottle }

// limit is how many attempts may run at once.
func (g *gate) limit(now time.Time, connections int) int {
	switch {
	case now.Before(g.until):
		return 0
	case !g.proven:
		return 1
	case g.window == 0:
		return connections
	}
	return min(int(g.window), connections)
}

// fail closes the gate. It reports false when an earlier fault already did.
func (g *gate) fail(generation int, fault *Error, now time.Time, connections int) bool {
	if generation != g.generation {
		return false
	}
	if g.fault == nil || g.fault.Class != fault.Class {
		g.failures = 0
	}
	g.failures++
	pauses := unreachable
	if fault.Class == ClassAuthentication {
		pauses = unauthenticated
	}
	if g.window == 0 {
		g.window = float64(connections)
	}
	if fault.Class == ClassThrottle {
		g.window = max(g.window/2, 1)
		g.steep = g.window
	} else {
		g.proven, g.window, g.steep = false, 1, g.window
	}
	g.fault, g.until = fault, now.Add(pauses.after(g.failures))
	g.generation++
	return true
}

// succeed opens the gate. It reports whether the upstream had failed before.
func (g *gate) succeed(generation int) bool {
	if generation != g.generation {
		return false
	}
	failed := g.fault != nil
	g.proven, g.fault, g.failures, g.until = true, nil, 0, time.Time{}
	return failed
}

// grow widens the window after a delivery.
func (g *gate) grow(generation, connections int) {
	if generation != g.generation || g.window == 0 {
		return
	}
	if g.window < g.steep {
		g.window++
	} else {
		g.window += 1 / g.window
	}
	if g.window >= float64(connections) {
		g.window, g.steep = 0, 0
	}
}

// reset forgets what is known, since the upstream's configuration changed.
func (g *gate) reset() { *g = gate{generation: g.generation + 1} }
