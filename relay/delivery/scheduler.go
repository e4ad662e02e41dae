package delivery

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/message/dkim"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// Scheduler decides which message is tried when, and where. It has no loop: whatever changes
// what may be tried calls dispatch, and one timer does where only time has to pass.
type Scheduler struct {
	options Options
	metrics *metrics

	mu       sync.Mutex
	settings settings
	// known are all messages of the queue by id.
	known map[string]*entry
	// waiting are those that are not due.
	waiting entryHeap
	// unrouted are those that are due while no upstream is configured.
	unrouted []*entry
	// unsigned are those whose last attempt found a DKIM key missing.
	unsigned  map[*entry]struct{}
	upstreams []*upstream
	// lastDelivery is when an upstream last took a message.
	lastDelivery time.Time
	// users are those of the configuration, lanes the mail of each user that has some, and
	// holding the lanes with mail that waits because of the user's rates.
	users   map[string]config.User
	lanes   map[string]*lane
	holding map[*lane]struct{}

	running   bool
	stopTimer func() bool
	timerAt   time.Time
	// attempts under way, and the context that ends them.
	attempts sync.WaitGroup
	work     context.Context
}

// settings are the parts of the configuration that are not an upstream's.
type settings struct {
	hostname      string
	queue         config.Queue
	logRecipients string
	dkim          []dkim.Key
}

// New makes a Scheduler. Nothing is delivered before Run.
func New(options Options) *Scheduler {
	s := &Scheduler{
		options:  options.withDefaults(),
		known:    make(map[string]*entry),
		waiting:  byDue(),
		unsigned: make(map[*entry]struct{}),
		lanes:    make(map[string]*lane),
		holding:  make(map[*lane]struct{}),
	}
	s.metrics = newMetrics(s.options)
	if s.options.transport == nil {
		s.options.transport = s.newPool
	}
	s.Apply(options.Snapshot)
	return s
}

// Run loads the queue and delivers until ctx is done. Attempts under way then have
// Options.StopTimeout to end; what they brought is recorded in any case. The error is that
// of a spool that cannot be read.
func (s *Scheduler) Run(ctx context.Context) error {
	work, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	s.mu.Lock()
	s.running, s.work = true, work
	s.dispatch()
	s.mu.Unlock()

	err := s.load(ctx)
	if err == nil {
		<-ctx.Done()
	}
	s.stop(abort)
	return err
}

// load takes in what is in the spool. Messages that are committed meanwhile may be seen
// here as well.
func (s *Scheduler) load(ctx context.Context) error {
	err := s.options.Spool.Each(func(e *spool.Envelope) error {
		s.Enqueue(e)
		return ctx.Err()
	})
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("load the queue: %w", err)
	}
	return nil
}

// stop waits for attempts under way and closes all connections.
func (s *Scheduler) stop(abort func()) {
	s.mu.Lock()
	s.running = false
	if s.stopTimer != nil {
		s.stopTimer()
	}
	upstreams := s.upstreams
	s.mu.Unlock()

	cancel := s.options.Clock.AfterFunc(s.options.StopTimeout, abort)
	s.attempts.Wait()
	cancel()
	for _, u := range upstreams {
		u.transport.close()
	}
}

// Enqueue takes in a message that is in the spool. It does not keep the envelope. A message
// that is known already is left as it is.
func (s *Scheduler) Enqueue(envelope *spool.Envelope) {
	e := &entry{
		id: envelope.ID, accepted: envelope.Accepted.UnixNano(), pinned: envelope.Upstream, recipients: pending(envelope),
	}
	if !envelope.NextAttempt.IsZero() {
		e.due = envelope.NextAttempt.UnixNano()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.known[e.id]; ok {
		return
	}
	e.lane = s.laneOf(envelope.User)
	e.lane.queued++
	s.known[e.id] = e
	s.schedule(e)
	s.dispatch()
}

// schedule puts a message where it belongs by its due time.
func (s *Scheduler) schedule(e *entry) {
	switch {
	case e.due > s.options.Clock.Now().UnixNano():
		s.waiting.add(e)
	case e.lane.paced:
		s.holdBack(e)
	default:
		s.ready(e)
	}
}

// ready puts a message where the next attempt is taken from.
func (s *Scheduler) ready(e *entry) {
	u := s.route(e)
	if u == nil {
		s.unrouted = append(s.unrouted, e)
		return
	}
	u.ready.add(e)
}

// route chooses the upstream of a message: the one it is pinned to, as long as that is
// configured, or the first.
func (s *Scheduler) route(e *entry) *upstream {
	if u := s.find(e.pinned); u != nil {
		return u
	}
	if len(s.upstreams) == 0 {
		return nil
	}
	return s.upstreams[0]
}

func (s *Scheduler) find(name string) *upstream {
	for _, u := range s.upstreams {
		if u.config.Name == name {
			return u
		}
	}
	return nil
}

// dispatch starts every attempt that may start now.
func (s *Scheduler) dispatch() {
	if !s.running {
		return
	}
	now := s.options.Clock.Now()
	for top := s.waiting.top(); top != nil && top.due <= now.UnixNano(); top = s.waiting.top() {
		s.schedule(s.waiting.next())
	}
	s.letGo(now)
	wake := time.Time{}
	for _, u := range s.upstreams {
		s.start(u, now)
		if u.ready.Len() > 0 && u.gate.until.After(now) {
			wake = earlier(wake, u.gate.until)
		}
	}
	for l := range s.holding {
		wake = earlier(wake, l.until)
	}
	if top := s.waiting.top(); top != nil {
		wake = earlier(wake, time.Unix(0, top.due))
	}
	s.wakeAt(wake, now)
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// wakeAt sets the timer; the zero time needs none.
func (s *Scheduler) wakeAt(at, now time.Time) {
	if at.Equal(s.timerAt) {
		return
	}
	if s.stopTimer != nil {
		s.stopTimer()
		s.stopTimer = nil
	}
	s.timerAt = at
	if !at.IsZero() {
		s.stopTimer = s.options.Clock.AfterFunc(at.Sub(now), s.wake)
	}
}

func (s *Scheduler) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timerAt, s.stopTimer = time.Time{}, nil
	s.dispatch()
}

// start begins as many attempts at an upstream as its limits allow. While the upstream is
// held, messages whose lifetime is over are given up all the same.
func (s *Scheduler) start(u *upstream, now time.Time) {
	limit := u.gate.limit(now, u.config.Limits.Connections)
	for u.ready.Len() > 0 && u.active < limit {
		s.begin(u, nil)
	}
	if u.gate.fault == nil || u.gate.fault.Class == ClassAuthentication {
		return
	}
	for top := u.ready.top(); top != nil && top.expired(now, s.settings.queue.Lifetime); top = u.ready.top() {
		if u.active >= u.config.Limits.Connections {
			return
		}
		s.begin(u, u.gate.fault)
	}
}

// begin starts an attempt at the next message. With a fault it is one that only gives up.
func (s *Scheduler) begin(u *upstream, fault *Error) {
	a := &attempt{
		scheduler:  s,
		entry:      u.ready.next(),
		upstream:   u,
		config:     u.config,
		transport:  u.transport,
		settings:   s.settings,
		generation: u.gate.generation,
		fault:      fault,
		giveUp:     fault != nil,
		started:    s.options.Clock.Now(),
	}
	a.entry.lane.started(a.entry, a.started, a.giveUp)
	u.active++
	s.attempts.Add(1)
	go func() {
		defer s.attempts.Done()
		next := a.run(s.work)
		s.mu.Lock()
		defer s.mu.Unlock()
		u.active--
		if a.fault != nil && !a.giveUp {
			a.entry.lane.unused(a.entry, a.started)
		}
		s.observe(a)
		s.finish(a, next)
	}()
}

// finish takes a message back after an attempt.
func (s *Scheduler) finish(a *attempt, next disposition) {
	delete(s.unsigned, a.entry)
	switch {
	case next.done:
		delete(s.known, a.entry.id)
		a.entry.lane.queued--
		s.forget(a.entry.lane)
	case next.unrecorded:
		s.options.Clock.AfterFunc(unwritable.after(a.unrecorded), func() { s.recordAgain(a) })
	default:
		a.entry.pinned = next.pinned
		if a.envelope != nil {
			a.entry.recipients = pending(a.envelope)
		}
		a.entry.due = 0
		if !next.due.IsZero() {
			a.entry.due = next.due.UnixNano()
		}
		if a.keyMissing() {
			s.unsigned[a.entry] = struct{}{}
		}
		s.schedule(a.entry)
	}
	s.dispatch()
}

// recordAgain tries to write down what an attempt brought after the spool did not take it.
// The message is not delivered again meanwhile.
func (s *Scheduler) recordAgain(a *attempt) {
	s.mu.Lock()
	if !s.running {
		s.mu.Unlock()
		return
	}
	s.attempts.Add(1)
	s.mu.Unlock()
	defer s.attempts.Done()
	next := a.record(s.work)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish(a, next)
}
