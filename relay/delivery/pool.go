package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailrelay-dev/mailrelay-operator/relay/provider"
)

// idleTimeout is how long a connection waits for the next message. Some providers hang up
// after a minute.
const idleTimeout = 30 * time.Second

// farewells is how many connections may be ending at a time. Upstreams limit how many are
// open, so the rest ends without QUIT.
const farewells = 4

// transport carries messages to one upstream.
type transport interface {
	// deliver sends a message in one transaction and returns a verdict for each of its
	// recipients. It calls welcomed when the upstream accepts MAIL, at least for the first
	// time on each connection.
	deliver(ctx context.Context, m message, welcomed func()) []verdict
	// close ends what is idle, and what is in use once it is not any more.
	close()
}

// pool is a transport that keeps connections open between messages.
type pool struct {
	dialer                dialer
	clock                 Clock
	messagesPerConnection int
	// rules of the provider for its replies.
	rules []provider.Rule
	// connections counts those that are open.
	connections prometheus.Gauge

	mu   sync.Mutex
	idle []*idleConnection
	over bool
	// leaving counts the connections that are ending, and ending waits for them.
	leaving int
	ending  sync.WaitGroup
}

// idleConnection waits for the next message, or for its time to be over.
type idleConnection struct {
	*connection
	stop func() bool
}

// deliver implements transport.
func (p *pool) deliver(ctx context.Context, m message, welcomed func()) []verdict {
	if c := p.get(m.recipients); c != nil {
		verdicts := p.transact(ctx, c, m, welcomed)
		if !stale(verdicts) || ctx.Err() != nil {
			return verdicts
		}
	}
	c, failure := p.dialer.connect(ctx)
	if failure != nil {
		verdicts := unanimous(len(m.recipients), failure)
		interpret(verdicts, p.rules)
		return verdicts
	}
	p.connections.Inc()
	c.onClose = p.connections.Dec
	return p.transact(ctx, c, m, welcomed)
}

// transact sends a message, reads the replies as the provider means them, and takes the
// connection back.
func (p *pool) transact(ctx context.Context, c *connection, m message, welcomed func()) []verdict {
	verdicts := c.transact(ctx, m, welcomed)
	interpret(verdicts, p.rules)
	p.put(c, verdicts)
	return verdicts
}

// stale reports whether a connection turned out to be closed before the transaction began:
// an upstream may hang up at any time between messages.
func stale(verdicts []verdict) bool {
	return find(verdicts, func(e *Error) bool {
		return e.Step == StepMAIL && (e.closing() || e.Class == ClassConnect && e.Code == 0)
	}) != nil
}

// find returns the first error that matches, nil when none does.
func find(verdicts []verdict, matches func(*Error) bool) *Error {
	for _, v := range verdicts {
		if v.err != nil && matches(v.err) {
			return v.err
		}
	}
	return nil
}

// unanimous is the same verdict for all recipients.
func unanimous(recipients int, failure *Error) []verdict {
	verdicts := make([]verdict, recipients)
	for i := range verdicts {
		verdicts[i].err = failure
	}
	return verdicts
}

// get takes the connection that was used last, nil when there is none that could be of use.
func (p *pool) get(recipients []string) *connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		last := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if !last.stop() {
			continue // its time is over: the timer's own goroutine closes it
		}
		if last.serves(recipients) {
			return last.connection
		}
		p.dismiss(last.connection)
	}
	return nil
}

// put keeps a connection for the next message, or closes it. The outcome of the message does
// not wait for that.
func (p *pool) put(c *connection, verdicts []verdict) {
	spent := c.broken || c.spent(p.messagesPerConnection) || find(verdicts, (*Error).concernsUpstream) != nil
	p.mu.Lock()
	if p.over {
		p.mu.Unlock()
		c.close()
		return
	}
	defer p.mu.Unlock()
	if spent {
		p.dismiss(c)
		return
	}
	waiting := &idleConnection{connection: c}
	waiting.stop = p.clock.AfterFunc(idleTimeout, func() { p.expire(waiting) })
	p.idle = append(p.idle, waiting)
}

// dismiss ends a connection without waiting for the upstream's goodbye. The pool is locked.
func (p *pool) dismiss(c *connection) {
	if c.broken || p.leaving == farewells {
		c.broken = true
		c.close()
		return
	}
	p.leaving++
	p.ending.Go(func() {
		c.close()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.leaving--
	})
}

// expire closes a connection that was not used for long.
func (p *pool) expire(c *idleConnection) {
	p.mu.Lock()
	for i := range p.idle {
		if p.idle[i] == c {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			break
		}
	}
	p.mu.Unlock()
	c.close()
}

// close implements transport.
func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.over = nil, true
	p.mu.Unlock()
	var closing sync.WaitGroup
	for _, c := range idle {
		if c.stop() {
			closing.Go(c.close)
		}
	}
	closing.Wait()
	p.ending.Wait()
}
