package delivery

import (
	"cmp"
	"slices"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

const (
	// mostSenders is how many refused senders are told of; a few show what has to be done.
	mostSenders = 20
	// senderMemory is how long a refusal is told of after it was last heard.
	senderMemory = 24 * time.Hour
)

// sender is who sent a message, as whom, and to which upstream: another one may take it.
type sender struct{ user, address, upstream string }

// refusedSenders are the senders that upstreams do not take mail from.
type refusedSenders map[sender]refusedSender

// refusedSender is what is told of a refused sender.
type refusedSender struct {
	config.SenderReport
	heard time.Time
}

// learn notes what an attempt shows of its sender: a refusal, or that it is taken after all.
func (r refusedSenders) learn(a *attempt, now time.Time) {
	if a.envelope == nil || a.envelope.ReversePath == "" {
		return
	}
	who := sender{a.envelope.User, a.envelope.ReversePath, a.config.Name}
	if a.delivered() {
		delete(r, who)
		return
	}
	i := slices.IndexFunc(a.errors, func(e *Error) bool { return e.Class == ClassSender && e.replied })
	if i < 0 {
		return
	}
	told, known := r[who]
	if !known {
		r.forget(now)
		if len(r) >= mostSenders {
			return
		}
		told.SenderReport = config.SenderReport{
			User: who.user, Sender: who.address, Upstream: who.upstream, Reply: a.errors[i].Reply(), Since: now,
		}
	}
	told.heard = now
	r[who] = told
}

// forget drops what was not heard for long.
func (r refusedSenders) forget(now time.Time) {
	for who, told := range r {
		if now.Sub(told.heard) >= senderMemory {
			delete(r, who)
		}
	}
}

// SendersRefused are the senders whose mail is held since an upstream does not take it, the
// one that was refused first before the others, and 20 at most.
func (s *Scheduler) SendersRefused() []config.SenderReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused.forget(s.options.Clock.Now())
	var all []config.SenderReport
	for _, told := range s.refused {
		all = append(all, told.SenderReport)
	}
	slices.SortFunc(all, func(a, b config.SenderReport) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.User, b.User), cmp.Compare(a.Sender, b.Sender), cmp.Compare(a.Upstream, b.Upstream))
	})
	return all
}
