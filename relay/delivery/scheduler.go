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
	// known are all messages of the queue by id, each by one of its parts.
	known map[string]*entry
	// waiting are those that are not due.
	waiting entryHeap
	// routes hold those that are due, and upstreams those that only one upstream may take.
	routes routes
	// unsigned are those whose last attempt found a DKIM key missing.
	unsigned  map[*entry]struct{}
	upstreams []*upstream
	// lastDelivery is when an upstream last took a message.
	lastDelivery time.Time
	// refused are the senders that an upstream did not take.
	refused refusedSenders
	// users are those of the configuration, lanes the mail of each user that has some, and
	// holding the lanes with mail that waits because of the user's rates.
	users   map[string]config.User
	lanes   map[string]*lane
	holding map[*lane]struct{}
	delays  delays

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
		refused:  make(refusedSenders),
		lanes:    make(map[string]*lane),
		holding:  make(map[*lane]struct{}),
		delays:   newDelays(),
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.known[envelope.ID]; ok {
		return
	}
	s.add(envelope, envelope.NextAttempt)
	s.dispatch()
}

// add takes in a message in as many parts as its recipients take routes.
func (s *Scheduler) add(envelope *spool.Envelope, due time.Time) {
	var first, last *entry
	for _, r := range s.routes {
		e := &entry{id: envelope.ID, accepted: envelope.Accepted.UnixNano(), lane: s.laneOf(envelope.User), route: r}
		if e.look(envelope, s.routes); e.recipients == 0 && len(s.routes) > 1 {
			continue
		}
		e.setDue(due)
		if first == nil {
			first = e
		} else {
			last.sibling, e.sibling = e, first
		}
		last = e
	}
	if first == nil {
		// Nobody is left to get it: an attempt finds that out and ends it.
		first = &entry{id: envelope.ID, accepted: envelope.Accepted.UnixNano(), lane: s.laneOf(envelope.User), route: s.routes[0]}
	}
	first.lane.queued++
	s.known[envelope.ID] = first
	s.watch(first, envelope)
	for _, e := range first.siblings() {
		s.schedule(e)
	}
}

// schedule puts a message where it belongs by its due time.
func (s *Scheduler) schedule(e *entry) {
	switch {
	case e.due > s.options.Clock.Now().UnixNano():
		s.waiting.add(e)
	case e.waitsForSibling():
		e.parked = true
	case s.keeper(e) != nil:
		s.keeper(e).pinned.add(e)
	case e.lane.paced:
		s.holdBack(e)
	default:
		e.route.ready.add(e)
	}
}

// keeper is the only upstream that may take a message, nil when there is no such.
func (s *Scheduler) keeper(e *entry) *upstream {
	if e.pin == nil || !s.options.Clock.Now().Before(e.pin.until) {
		return nil
	}
	return s.find(e.pin.upstream)
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
	for _, u := range s.upstreams {
		s.startPinned(u, now)
	}
	s.tellDelays(now)
	for s.startNext(now) {
	}
	for _, r := range s.routes {
		s.giveUp(r, now)
	}
	s.wakeAt(s.nextWake(now), now)
}

// nextWake is when something may start because time has passed, zero when never.
func (s *Scheduler) nextWake(now time.Time) time.Time {
	wake := s.nextNotice()
	for _, u := range s.upstreams {
		if at := u.wake(now); !at.IsZero() {
			wake = earlier(wake, at)
		}
		if top := u.pinned.top(); top != nil {
			wake = earlier(wake, top.pin.until)
		}
	}
	for l := range s.holding {
		if l.until.After(now) {
			wake = earlier(wake, l.until)
		}
	}
	if top := s.waiting.top(); top != nil {
		wake = earlier(wake, time.Unix(0, top.due))
	}
	return wake
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
	s.dispatch()
}
