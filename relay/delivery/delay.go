package delivery

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

const (
	// noticesAtOnce is how many notices of delay are written at the same time.
	noticesAtOnce = 8
	// failurePause is how long a notice waits that could not be written.
	failurePause = 10 * time.Minute
	// forgottenNotices is how many messages may be watched in vain, beyond those in the queue.
	forgottenNotices = 1000
)

// delays watches the messages whose senders are to be told when they are late. It does not
// matter what they wait for: their turn, a retry, a rate, an upstream. The scheduler's lock
// guards it.
type delays struct {
	// watched are parts of these messages, the oldest on top. Those that leave the queue stay in
	// it for a while.
	watched entryHeap
	// writing are the ids of messages of which a notice is being written, and busy those whose
	// notice waits for an attempt to end.
	writing, busy map[string]struct{}
}

func newDelays() delays {
	return delays{watched: byAge(), writing: make(map[string]struct{}), busy: make(map[string]struct{})}
}

// tellsDelay reports whether the sender of a message is still to be told when it is late
// (RFC 3461 §5.2.5).
func tellsDelay(e *spool.Envelope) bool {
	return e.ReversePath != "" && e.DelayNotice.IsZero() && slices.ContainsFunc(e.Recipients, isLate)
}

func isLate(r spool.Recipient) bool {
	return r.Outcome == spool.Pending && r.Notify.Wants(spool.NotifyDelay)
}

// watch takes in a message of the queue.
func (s *Scheduler) watch(e *entry, envelope *spool.Envelope) {
	if !tellsDelay(envelope) {
		return
	}
	s.delays.watched.add(e)
	if s.delays.watched.Len() <= 2*len(s.known)+forgottenNotices {
		return
	}
	seen := make(map[string]struct{})
	old := s.delays.watched.entries
	s.delays.watched = byAge()
	for _, e := range old {
		if _, again := seen[e.id]; !again && s.known[e.id] != nil {
			seen[e.id] = struct{}{}
			s.delays.watched.add(e)
		}
	}
}

// tellDelays begins the notices that are due.
func (s *Scheduler) tellDelays(now time.Time) {
	for at := s.nextNotice(); !at.IsZero() && !at.After(now); at = s.nextNotice() {
		s.beginNotice(s.delays.watched.next().id)
	}
}

// nextNotice is when the next notice is due, zero when there is nothing to wait for: a notice
// that ends begins others.
func (s *Scheduler) nextNotice() time.Time {
	after := s.settings.queue.DelayNotice
	if after <= 0 || after >= s.settings.queue.Lifetime || len(s.delays.writing) == noticesAtOnce {
		return time.Time{}
	}
	for top := s.delays.watched.top(); top != nil; top = s.delays.watched.top() {
		if s.known[top.id] != nil {
			return time.Unix(0, top.accepted).Add(after)
		}
		s.delays.watched.next()
	}
	return time.Time{}
}

// beginNotice tells the sender of a message that it is late, unless an attempt has its envelope.
func (s *Scheduler) beginNotice(id string) {
	parts := s.known[id].siblings()
	if slices.ContainsFunc(parts, func(e *entry) bool { return e.busy }) {
		s.delays.busy[id] = struct{}{}
		return
	}
	if _, writing := s.delays.writing[id]; writing {
		return
	}
	n := &notification{settings: s.settings}
	reason := reasons(s.routes)
	if all := parts[0].route.upstreams; len(parts) == 1 && len(all) == 1 {
		n.remoteMTA = all[0].config.Host
	}
	s.delays.writing[id] = struct{}{}
	s.attempts.Add(1)
	go func() {
		defer s.attempts.Done()
		err := s.tellDelay(s.work, id, n, reason)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.endNotice(id, err)
	}()
}

// endNotice lets attempts at the message begin again.
func (s *Scheduler) endNotice(id string, err error) {
	delete(s.delays.writing, id)
	if err != nil && !errors.Is(err, spool.ErrNotFound) {
		s.noticeLater(id)
	}
	if e := s.known[id]; e != nil {
		for _, part := range e.siblings() {
			s.unparkOne(part)
		}
	}
	s.dispatch()
}

// noticeLater tries a notice again after a while.
func (s *Scheduler) noticeLater(id string) {
	s.options.Clock.AfterFunc(failurePause, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.watchAgain(id)
		s.dispatch()
	})
}

// watchAgain has the notice of a message that waits for it begin with the next dispatch.
func (s *Scheduler) watchAgain(id string) {
	if e := s.known[id]; e != nil {
		s.delays.watched.add(e)
	}
}

// noticeAfter lets the notice have its turn that waited for an attempt at the message.
func (s *Scheduler) noticeAfter(id string) {
	if _, waits := s.delays.busy[id]; waits {
		delete(s.delays.busy, id)
		s.watchAgain(id)
	}
}

// reasons returns what says why a recipient's mail waits: the fault of the first upstream of
// its route that has one.
func reasons(all routes) func(reversePath, recipient string) string {
	faults := make(map[*route]string)
	for _, r := range all {
		i := slices.IndexFunc(r.upstreams, func(u *upstream) bool { return u.gate.fault != nil })
		if i >= 0 {
			faults[r] = r.upstreams[i].gate.fault.Reply()
		}
	}
	return func(reversePath, recipient string) string { return faults[all.of(reversePath, recipient)] }
}

// tellDelay queues the notice, unless there is nothing to tell any more. Unlike the outcome of
// a delivery it is not for a disk that is low on space.
func (s *Scheduler) tellDelay(ctx context.Context, id string, n *notification, reason func(reversePath, recipient string) string) error {
	envelope, err := s.options.Spool.Envelope(id)
	if err != nil || !tellsDelay(envelope) {
		return err
	}
	n.late(envelope, reason, s.options.Clock.Now())
	draft, err := s.options.Spool.Create(ctx)
	if err == nil {
		err = s.notify(ctx, draft, n)
	}
	if err != nil && !errors.Is(err, spool.ErrNotFound) && !errors.Is(err, spool.ErrLowSpace) {
		s.options.Logger.Warn("cannot tell a sender that a message is late, trying again", "queue_id", id, "error", err)
	}
	return err
}

// late makes it a notice of the delay of a message, and has the envelope say that it was given.
func (n *notification) late(e *spool.Envelope, reason func(reversePath, recipient string) string, now time.Time) {
	n.about, n.to = e, e.ReversePath
	n.until = e.Accepted.Add(n.settings.queue.Lifetime)
	for _, r := range e.Recipients {
		if !isLate(r) {
			continue
		}
		if r.Reply == "" {
			r.Reply = reason(e.ReversePath, r.Address)
		}
		n.recipients = append(n.recipients, r)
	}
	e.DelayNotice = now
}
