package delivery

import "time"

// jitter is by how much a pause varies, so that what failed together does not come back
// together.
const jitter = 0.2

// backoff are pauses that double.
type backoff struct{ initial, longest time.Duration }

// after is the pause after the given number of failures, one or more.
func (b backoff) after(failures int) time.Duration {
	pause := b.initial
	for range failures - 1 {
		if pause >= b.longest {
			break
		}
		pause *= 2
	}
	return min(pause, b.longest)
}

// spread varies a pause by a random number in [0,1).
func spread(pause time.Duration, random float64) time.Duration {
	return time.Duration(float64(pause) * (1 - jitter + 2*jitter*random))
}

// unwritable are the pauses after the spool did not take an outcome.
var unwritable = backoff{10 * time.Second, 10 * time.Minute}

// Pauses of an upstream. A refused login is tried rarely, because upstreams lock accounts.
var (
	unreachable     = backoff{time.Second, 30 * time.Second}
	unauthenticated = backoff{time.Minute, 15 * time.Minute}
)

// gate holds back the mail of an upstream that cannot be used, and lets one attempt at a
// time find out whether it can be again.
type gate struct {
	// proven means that the upstream took mail since the last fault.
	proven bool
	// until is when the next attempt may start.
	until time.Time
	// fault is why the gate closed last, nil once the upstream was proven.
	fault    *Error
	failures int
	// generation counts the faults. Attempts that started before a fault say nothing new.
	generation int
}

// limit is how many attempts may run at once.
func (g *gate) limit(now time.Time, connections int) int {
	switch {
	case now.Before(g.until):
		return 0
	case !g.proven:
		return 1
	}
	return connections
}

// fail closes the gate. It reports false when an earlier fault already did.
func (g *gate) fail(generation int, fault *Error, now time.Time) bool {
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
	g.proven, g.fault, g.until = false, fault, now.Add(pauses.after(g.failures))
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

// reset forgets what is known, since the upstream's configuration changed.
func (g *gate) reset() { *g = gate{generation: g.generation + 1} }
