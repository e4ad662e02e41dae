package frontdoor

import (
	"bytes"
	"time"
)

// phase is where a session stands, as told by the server's replies.
type phase int

const (
	idle            phase = iota // between two messages
	swallowGreeting              // the server's greeting is still to come, and to be dropped
	transaction                  // MAIL was accepted
	content                      // the client sends a message
	ended                        // the last word was said
)

// event is what a reply says about the session.
type event int

const (
	nothing event = iota
	mailAccepted
	contentWanted
	reset
	farewell
)

// eventOf reads the server's own words, before they are put right.
func eventOf(reply []byte) event {
	switch {
	case bytes.HasPrefix(reply, []byte("354 ")):
		return contentWanted
	case bytes.HasPrefix(reply, []byte("221 ")), bytes.HasPrefix(reply, []byte("421 ")):
		return farewell
	case bytes.HasPrefix(reply, []byte("250 2.0.0 Roger, accepting mail from ")):
		return mailAccepted
	case bytes.HasPrefix(reply, []byte("250 2.0.0 Session reset")), bytes.HasPrefix(reply, []byte("250-Hello ")):
		return reset
	}
	return nothing
}

// after is the phase that follows a reply.
func (p phase) after(e event) phase {
	switch {
	case p == ended || e == farewell:
		return ended
	case e == contentWanted:
		return content
	case e == mailAccepted:
		return transaction
	case e == reset || p == content:
		// The first reply after the content ends the transaction, whatever it says.
		return idle
	}
	return p
}

// transfer measures how fast a message comes in.
type transfer struct {
	started  time.Time
	received int
	rate     int // bytes a second
	grace    time.Duration
}

// deadline is when the next byte must be there for the message to be fast enough, and
// limit at the latest.
func (t transfer) deadline(limit time.Time) time.Time {
	due := t.started.Add(t.grace + time.Duration(t.received)*time.Second/time.Duration(t.rate))
	if due.Before(limit) {
		return due
	}
	return limit
}
