package delivery

import (
	"context"
	"io"
	"log/slog"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// fakeClock is a Clock that moves only when it is told to.
type fakeClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*fakeTimer
}

type fakeTimer struct {
	at time.Time
	f  func()
}

func newFakeClock() *fakeClock {
	return &fakeClock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) AfterFunc(d time.Duration, f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	timer := &fakeTimer{at: c.now.Add(d), f: f}
	c.timers = append(c.timers, timer)
	return func() bool { return c.stop(timer) }
}

func (c *fakeClock) stop(timer *fakeTimer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.timers {
		if c.timers[i] == timer {
			c.timers = append(c.timers[:i], c.timers[i+1:]...)
			return true
		}
	}
	return false
}

// advance moves the clock and runs what is due on the way, one after the other.
func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	end := c.now.Add(d)
	for {
		sort.SliceStable(c.timers, func(i, j int) bool { return c.timers[i].at.Before(c.timers[j].at) })
		if len(c.timers) == 0 || c.timers[0].at.After(end) {
			break
		}
		timer := c.timers[0]
		c.timers = c.timers[1:]
		if timer.at.After(c.now) {
			c.now = timer.at
		}
		c.mu.Unlock()
		timer.f()
		c.mu.Lock()
	}
	c.now = end
	c.mu.Unlock()
}

// patience is for machines that are busy with other things.
const patience = 30 * time.Second

// eventually waits until a condition of other goroutines holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not seen within %s: %s", patience, what)
		}
	}
}

func quietLogger() *slog.Logger { return slog.New(slog.DiscardHandler) }

// shortTimeouts are long enough for a loopback connection on a busy machine.
func shortTimeouts() Timeouts {
	const long = 5 * time.Second
	return Timeouts{long, long, long, long, long, long, long, time.Second}
}

// newTestPool is a pool for one upstream on a clock of its own.
func newTestPool(t *testing.T, u config.ResolvedUpstream, change ...func(*pool)) *pool {
	t.Helper()
	p := &pool{
		dialer:                dialer{upstream: u, hostname: "relay.test", timeouts: shortTimeouts()},
		clock:                 newFakeClock(),
		messagesPerConnection: 100,
		connections:           prometheus.NewGauge(prometheus.GaugeOpts{Name: "connections"}),
	}
	for _, f := range change {
		f(p)
	}
	t.Cleanup(p.close)
	return p
}

// mail is a message with the given content for some recipients.
func mail(content string, recipients ...string) message {
	if len(recipients) == 0 {
		recipients = []string{"bob@example.com"}
	}
	return message{
		reversePath: "app@example.com",
		recipients:  recipients,
		size:        int64(len(content)),
		open:        func() (io.ReadCloser, error) { return newSource(content), nil },
	}
}

// source is content as the spool opens it.
type source struct{ *strings.Reader }

func newSource(content string) source { return source{strings.NewReader(content)} }

func (source) Close() error { return nil }

const greeting = "Subject: hi\r\n\r\nhello\r\n"

// send delivers one message through a pool.
func send(p *pool, m message) []verdict {
	return p.deliver(context.Background(), m, func() {})
}

// mustDeliver fails the test unless every recipient was accepted.
func mustDeliver(t *testing.T, p *pool, m message) {
	t.Helper()
	for i, v := range send(p, m) {
		if v.err != nil {
			t.Fatalf("recipient %d: %v", i, v.err)
		}
	}
}

// mustFail returns the error of the first recipient.
func mustFail(t *testing.T, p *pool, m message) *Error {
	t.Helper()
	err := send(p, m)[0].err
	if err == nil {
		t.Fatal("the message was delivered")
	}
	return err
}
