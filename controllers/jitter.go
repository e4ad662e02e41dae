package controllers

import (
	"math/rand/v2"
	"time"
)

// pollInterval is how often a relay is looked at when nothing changes.
const pollInterval = 30 * time.Second

// jitter spreads a duration by a fifth, so that relays created together are not polled
// together for ever.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}
