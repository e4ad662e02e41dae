//go:build attack

package attack

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// slowly are ways to keep a connection waiting. Each returns a client that then sends a byte a
// second, or nothing when it is mute. limit is when the relay must have ended it, or zero when
// that is later than this test: 3 minutes for a body that comes too slowly, 5 for a command.
var slowly = []struct {
	what  string
	mute  bool
	limit time.Duration
	open  func(*relay, testing.TB, int) *client
}{
	{"nothing on 465", true, 5 * time.Second, func(r *relay, t testing.TB, n int) *client { return r.connect(t, "465", n) }},
	{"nothing on 587", true, time.Minute, func(r *relay, t testing.TB, n int) *client { return r.connect(t, "587", n) }},
	{"a byte a second in plaintext before STARTTLS", false, time.Minute, func(r *relay, t testing.TB, n int) *client {
		c := r.connect(t, "587", n)
		c.reply()
		return c
	}},
	{"a byte a second in the TLS handshake on 465", false, 30 * time.Second, func(r *relay, t testing.TB, n int) *client {
		c := r.connect(t, "465", n)
		c.send("\x16\x03\x01\x02\x00") // and 512 bytes to come
		return c
	}},
	{"a byte a second in the TLS handshake on 587", false, 30 * time.Second, func(r *relay, t testing.TB, n int) *client {
		c := r.connect(t, "587", n)
		c.reply()
		c.say("STARTTLS")
		c.send("\x16\x03\x01\x02\x00")
		return c
	}},
	{"a byte a second in a command", false, 0, func(r *relay, t testing.TB, n int) *client { return r.open(t, ports[n%2], n) }},
	{"a byte a second in a login", false, 0, func(r *relay, t testing.TB, n int) *client {
		c := r.open(t, ports[n%2], n)
		c.expect(t, "AUTH LOGIN", "334 ")
		return c
	}},
	{"a byte a second in a message", false, 0, func(r *relay, t testing.TB, n int) *client {
		c := r.login(t, ports[n%2], "attacker", n)
		c.begin(t)
		return c
	}},
}

// TestSlowloris keeps hundreds of connections waiting for a byte a second each, and others
// that never read. An honest client must not notice, and no connection may be kept for good.
func TestSlowloris(t *testing.T) {
	heading("Slowloris", "all connections taken, by a byte a second on each or by clients that do not read")
	const each, samples = 100, 40
	r := start(t, newUpstream(t))
	before := r.memory(t, "VmRSS")
	alone := r.latencies(t, samples)
	var attackers sync.WaitGroup
	stop := make(chan struct{})
	cut := make([]cuts, len(slowly))
	for i, way := range slowly {
		for n := range each {
			c := way.open(r, t, 2000+n)
			attackers.Go(func() { cut[i].add(c.dribble(way.mute, stop)) })
		}
	}
	var deaf cuts
	for n := range each / 2 {
		c := r.open(t, ports[n%2], 2200+n)
		attackers.Go(func() { deaf.add(c.neverRead()) })
	}
	time.Sleep(time.Second)
	attacked := r.latencies(t, samples)
	during := r.memory(t, "VmRSS")
	launch(t, fmt.Sprintf("an honest client beside %d slow ones", each*len(slowly)+each/2), func(a *attack) {
		a.harmless("connect, log in and submit: it sent all its messages")
		a.figure("%v alone, %v attacked (median), at most %v and %v", alone[samples/2], attacked[samples/2], alone[samples-1], attacked[samples-1])
		a.figure("the relay's memory grew from %d to %d MiB", before, during)
		if limit := 3*alone[samples/2] + 100*time.Millisecond; attacked[samples/2] > limit {
			a.breach("the honest client waits %v, more than %v", attacked[samples/2], limit)
		}
	})
	time.Sleep(65 * time.Second)
	close(stop)
	attackers.Wait()
	for i, way := range slowly {
		launch(t, way.what, func(a *attack) { cut[i].judge(a, way.limit) })
	}
	launch(t, "replies that are never read", func(a *attack) { deaf.judge(a, 2*time.Minute) })
	launch(t, "more connections from one address than it may have", func(a *attack) { crowdOut(a) })
}

// crowdOut takes all connections that an address may have. Other addresses must keep theirs.
func crowdOut(a *attack) {
	const limit = 50
	r := start(a.T, newUpstream(a.T), func(c *config.Config) { c.Listeners.MaxConnectionsPerAddress = limit })
	for range limit {
		a.answered("within the limit", r.connect(a, "587", 1).reply(), "220 ")
	}
	for range limit {
		a.answered("over the limit", r.connect(a, "587", 1).reply(), "421 4.7.0")
		if got, ends := r.connect(a, "465", 1).rest(soon); got != "" || !ends {
			a.breach("465 serves more than the limit: %q", got)
		}
	}
	a.figure("an app of another address sent its message after %v", r.latencies(a, 1)[0])
}

// cuts are when clients were ended by the relay, zero for those that were not.
type cuts struct {
	mu  sync.Mutex
	all []time.Duration
}

func (c *cuts) add(after time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, after)
}

func (c *cuts) judge(a *attack, limit time.Duration) {
	slices.Sort(c.all)
	for _, after := range c.all {
		switch {
		case after > 0:
			a.harmless("ended by the relay")
		case limit == 0:
			a.harmless("still waited for, to nobody's harm,")
		default:
			a.breach("not ended within %v", limit)
		}
	}
	if longest := c.all[len(c.all)-1]; longest > 0 {
		a.figure("after %v at most", longest.Round(time.Second))
		if longest > limit+5*time.Second {
			a.Errorf("ended only after %v", longest)
		}
	}
}

// dribble sends a byte a second, or is mute, until the relay ends the connection or stop is closed, and
// returns how long the relay let it.
func (c *client) dribble(mute bool, stop <-chan struct{}) time.Duration {
	began, ended := time.Now(), make(chan struct{})
	_ = c.SetDeadline(time.Time{})
	go func() {
		defer close(ended)
		if encrypted, ok := c.Conn.(*tls.Conn); ok {
			_ = encrypted.Handshake()
		}
		for {
			if _, err := c.in.ReadByte(); err != nil {
				return
			}
		}
	}()
	defer func() { <-ended }()
	defer c.Close()
	for tick := time.NewTicker(time.Second); ; {
		if !mute {
			c.send("x")
		}
		select {
		case <-tick.C:
		case <-ended:
			return time.Since(began)
		case <-stop:
			return 0
		}
	}
}

// neverRead asks for replies and does not take them, until the relay ends the connection. It
// returns how long the relay let it, or zero when that is too long.
func (c *client) neverRead() time.Duration {
	began := time.Now()
	_ = c.SetDeadline(began.Add(2 * time.Minute))
	defer c.Close()
	noops := strings.Repeat("NOOP\r\n", 1000)
	for {
		if _, err := c.Write([]byte(noops)); err != nil {
			if time.Since(began) >= 2*time.Minute {
				return 0
			}
			return time.Since(began)
		}
	}
}

// latencies are how long an honest client takes for each message on a connection of its own.
func (r *relay) latencies(t testing.TB, samples int) []time.Duration {
	t.Helper()
	var took []time.Duration
	for n := range samples {
		began := time.Now()
		c := r.login(t, ports[n%2], "app.shop", 0)
		if reply := c.submit(t, "From: app@example.com\r\n\r\nhonest"); !strings.HasPrefix(reply, "250 ") {
			t.Fatalf("the honest message is answered with %q", reply)
		}
		took = append(took, time.Since(began).Round(100*time.Microsecond))
		c.Close()
	}
	slices.Sort(took)
	return took
}
