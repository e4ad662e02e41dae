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
