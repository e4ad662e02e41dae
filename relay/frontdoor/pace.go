package frontdoor

import "time"

// pace bounds the time that a client may take. All its methods are told the time.
type pace struct {
	timeouts Timeouts
	minRate  int

	began time.Time
	// asked is when the server last replied, and the client's turn began.
	asked time.Time
	// received and waited are the bytes of the current body, and the time spent waiting
	// for them; the time that the relay itself takes to store them is not the client's.
	received int64
	waited   time.Duration
}

// reset starts the client's turn.
func (p *pace) reset(now time.Time) {
	p.asked = now
	p.received, p.waited = 0, 0
}

// got notes n bytes that were waited for since from.
func (p *pace) got(n int, from, now time.Time) {
	p.received += int64(n)
	p.waited += now.Sub(from)
}

// deadline is until when the next bytes must come, given where the session is.
func (p *pace) deadline(d *dialogue, now time.Time) time.Time {
	limit := p.asked.Add(p.timeouts.Command)
	if d.body {
		limit = now.Add(min(p.timeouts.Body, p.allowance()))
	}
	if end := p.end(d); end.Before(limit) {
		limit = end
	}
	return limit
}

// allowance is how much longer a body may be waited for at the minimum rate.
func (p *pace) allowance() time.Duration {
	earned := time.Duration(float64(p.received) / float64(p.minRate) * float64(time.Second))
	return p.timeouts.Body + earned - p.waited
}

// end is when the session must be over. An open transaction gets the time of one more
// command, so that a session is rather ended between two messages than within one.
func (p *pace) end(d *dialogue) time.Time {
	end := p.began.Add(p.timeouts.Session)
	if !d.idle() {
		end = end.Add(p.timeouts.Command)
	}
	if login := p.loginEnd(); !d.loggedIn && login.Before(end) {
		return login
	}
	return end
}

// loginEnd is when the client must have logged in.
func (p *pace) loginEnd() time.Time { return p.began.Add(p.timeouts.Login) }
