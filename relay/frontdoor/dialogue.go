package frontdoor

// dialogue is how far a session has come, learnt from what the server says and never
// from what the client does: the server's is the only parser.
type dialogue struct {
	// greeted: the server has said its first word.
	greeted bool
	// transaction: between an accepted MAIL and the end of it.
	transaction bool
	// body: between 354 and the reply to the body.
	body bool
	// loggedIn: a login was accepted (235).
	loggedIn bool
	// challenge: a SASL exchange waits for the client (334).
	challenge bool
	// over: the last word was said, nothing more is heard.
	over bool
	// commands counts replies since the last body, errors those of 5xx since the last body
	// that was taken. Refusals within a transaction are not counted as errors: a list can have
	// more bad recipients than good ones, which shall get the message.
	commands, errors int
}

// replied takes a reply of the server and what it meant.
func (d *dialogue) replied(code int, meant effect) {
	d.greeted = true
	d.challenge = code == 334
	d.loggedIn = d.loggedIn || code == 235
	d.commands++
	if code >= 500 && (d.body || !d.transaction) {
		d.errors++
	}
	if d.body && code < 300 {
		d.errors = 0
	}
	switch {
	case d.body || meant == effectReset:
		d.body, d.transaction = false, false
	case meant == effectBegin:
		d.transaction = true
	case code == 354:
		d.body = true
		d.commands = 0
	}
	if code == 221 || code == 421 {
		d.over = true
	}
}

// idle tells whether the session can be ended without harm to a message or a login.
func (d *dialogue) idle() bool {
	return d.greeted && !d.transaction && !d.body && !d.challenge
}
