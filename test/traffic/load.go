package traffic

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Load is a number of clients that submit as fast as they are served.
type Load struct {
	Target
	// Connections at the same time.
	Connections int
	// PerConnection is how many messages go over a connection before the next one is made.
	PerConnection int
	// Size of each message in bytes.
	Size int
	// Duration after which no message is begun.
	Duration time.Duration
	// From is the number of the first message.
	From uint64
	// Accepted is called for each message that the server has taken, by many at once; may be
	// nil.
	Accepted func(number uint64)
}

// Result is what became of a Load.
type Result struct {
	Accepted     int
	Began, Ended time.Time
	// Times are how long each message took: from MAIL to the last 250, and where it is the
	// first of its connection from the connect.
	Times []time.Duration
}

// Run submits until the time is over and returns the first error, which ends the client that
// it hit only.
func (l Load) Run(ctx context.Context) (Result, error) {
	result := Result{Began: time.Now()}
	var next atomic.Uint64
	next.Store(l.From)
	var mu sync.Mutex
	var failure error
	var clients sync.WaitGroup
	for range l.Connections {
		clients.Go(func() {
			times, err := l.client(ctx, &next, result.Began.Add(l.Duration))
			mu.Lock()
			defer mu.Unlock()
			result.Times = append(result.Times, times...)
			if failure == nil {
				failure = err
			}
		})
	}
	clients.Wait()
	result.Ended = time.Now()
	result.Accepted = len(result.Times)
	return result, failure
}

// client submits over one connection after the other.
func (l Load) client(ctx context.Context, next *atomic.Uint64, end time.Time) (times []time.Duration, err error) {
	var buffer []byte
	for time.Now().Before(end) {
		began := time.Now()
		c, err := Dial(ctx, l.Target)
		if err != nil {
			return times, err
		}
		for range l.PerConnection {
			number := next.Add(1) - 1
			buffer = AppendMessage(buffer[:0], number, l.Size)
			if err := c.Send(buffer); err != nil {
				_ = c.Close()
				return times, err
			}
			now := time.Now()
			times = append(times, now.Sub(began))
			if l.Accepted != nil {
				l.Accepted(number)
			}
			if began = now; began.After(end) {
				break
			}
		}
		if err := c.Quit(); err != nil {
			return times, err
		}
	}
	return times, nil
}
