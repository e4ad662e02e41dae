package delivery

import (
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/policy"
)

// evenly is up to which period a rate is spread evenly over it. A provider that takes 14
// messages a second does not want all of them in its first millisecond; one that takes 10,000
// a day does not mind.
const evenly = 10 * time.Second

// pacer keeps the mail for an upstream within its rates.
type pacer struct {
	limiter policy.Limiter
	// interval between two messages, and when the next one may go by it.
	interval time.Duration
	next     time.Time
	// until is when the message that was looked at last may go.
	until time.Time
}

// change replaces the rates. What was counted against a rate that stays still counts.
func (p *pacer) change(rates []config.Rate) {
	p.interval, p.until = 0, time.Time{}
	var counted []config.Rate
	for _, r := range rates {
		if r.Period <= evenly && r.Messages > 0 {
			p.interval = max(p.interval, r.Period/time.Duration(r.Messages))
		}
		if times := int(evenly / r.Period); times > 1 {
			// Over one period the spacing holds; a count as fine as that would be in its way.
			r.Messages, r.Recipients, r.Period = r.Messages*times, r.Recipients*times, r.Period*time.Duration(times)
		}
		counted = append(counted, r)
	}
	p.limiter.Change(counted)
}

// open reports whether a message may go, as far as is known without looking at it.
func (p *pacer) open(now time.Time) bool { return !now.Before(p.next) && !now.Before(p.until) }

// admits reports whether a message with that many recipients may go now. If not, nothing else
// may go before it can: a large one would never have its turn.
func (p *pacer) admits(now time.Time, recipients int) bool {
	wait := p.limiter.Wait(now, recipients)
	p.until = now.Add(wait)
	return wait == 0
}

// take counts a message.
func (p *pacer) take(now time.Time, recipients int) {
	p.limiter.Take(now, recipients)
	if p.interval > 0 {
		// Time that a late timer lost is made good, up to one message.
		earliest := now.Add(-p.interval)
		if p.next.Before(earliest) {
			p.next = earliest
		}
		p.next = p.next.Add(p.interval)
	}
}

// giveBack takes a message back that did not get to the upstream.
func (p *pacer) giveBack(began time.Time, recipients int) {
	p.limiter.Return(began, recipients)
	p.until = time.Time{}
}

// wake is when the pacer opens, zero when it is open.
func (p *pacer) wake(now time.Time) time.Time {
	at := p.next
	if p.until.After(at) {
		at = p.until
	}
	if !at.After(now) {
		return time.Time{}
	}
	return at
}
