package spool

import (
	"slices"
	"time"
)

// Envelope is what the relay knows of a message besides its content.
type Envelope struct {
	// ID is the queue id.
	ID string `json:"id"`
	// Accepted is when the message was accepted.
	Accepted time.Time `json:"accepted"`
	// User is the SASL user name of who submitted it; empty for the relay's own bounces.
	User string `json:"user,omitempty"`
	// ReversePath is the sender's address without angle brackets; empty is the null
	// reverse-path (RFC 5321 §4.5.5).
	ReversePath string `json:"reversePath"`
	// Recipients and what became of each.
	Recipients []Recipient `json:"recipients"`
	// MessageID is the Message-ID header field, with angle brackets.
	MessageID string `json:"messageID,omitempty"`
	// Size of the content in bytes.
	Size int64 `json:"size"`
	// SMTPUTF8 is true when an address or a header field needs RFC 6531.
	SMTPUTF8 bool `json:"smtpUTF8,omitempty"`
	// EightBit is true when the body has octets above 127 (RFC 6152).
	EightBit bool `json:"eightBit,omitempty"`
	// LongLines is true when there are lines of more than 998 octets, which no server has to
	// take (RFC 5321 §4.5.3.1.6).
	LongLines bool `json:"longLines,omitempty"`
	// Attempts is the number of finished attempts that count for the back-off.
	Attempts int `json:"attempts,omitempty"`
	// NextAttempt is when delivery is due again; zero means at once.
	NextAttempt time.Time `json:"nextAttempt,omitzero"`
	// Return is what of the message a notification of failure returns, as RET has it (RFC 3461
	// §4.3): ReturnFull, ReturnHeaders, or empty when the client did not say.
	Return string `json:"return,omitempty"`
	// EnvelopeID is what the client wants to know the message by in notifications (RFC 3461
	// §4.4): printable ASCII, decoded; empty for none.
	EnvelopeID string `json:"envelopeID,omitempty"`
	// DelayNotice is when the sender was told that the message is late; zero when it was not.
	DelayNotice time.Time `json:"delayNotice,omitzero"`
	// Damaged means that the content was found damaged: once every recipient has an outcome,
	// the message goes into quarantine and is not removed.
	Damaged bool `json:"damaged,omitempty"`
}

// Recipient is one forward-path and its outcome.
type Recipient struct {
	// Address without angle brackets.
	Address string `json:"address"`
	// Outcome is what became of it.
	Outcome Outcome `json:"outcome,omitempty"`
	// Reply is the last reply of an upstream about it, or why the relay gave up.
	Reply string `json:"reply,omitempty"`
	// OutcomeTime is when the outcome was known.
	OutcomeTime time.Time `json:"outcomeTime,omitzero"`
	// Upstream may have taken the message: a connection to it was lost after the end of data.
	// Another one must not be tried before UpstreamUntil.
	Upstream      string    `json:"upstream,omitempty"`
	UpstreamUntil time.Time `json:"upstreamUntil,omitzero"`
	// Notify is when the sender wants to be told; empty when the client did not say.
	Notify Notify `json:"notify,omitempty"`
	// OriginalRecipient is who the message was first addressed to (RFC 3461 §4.2): the type of
	// the address in lower case, a semicolon and the address, decoded. Empty when the client
	// did not say.
	OriginalRecipient string `json:"originalRecipient,omitempty"`
}

// Outcome is what became of a recipient. The zero Outcome is pending.
type Outcome string

// The outcomes of a recipient.
const (
	// Pending recipients are still to be delivered.
	Pending Outcome = ""
	// Delivered recipients were accepted by an upstream.
	Delivered Outcome = "delivered"
	// Bounced recipients were refused for good.
	Bounced Outcome = "bounced"
	// Expired recipients were given up after the queue's lifetime.
	Expired Outcome = "expired"
)

// Failed reports whether the recipient was given up.
func (o Outcome) Failed() bool { return o == Bounced || o == Expired }

// Failed reports whether any recipient was given up.
func (e *Envelope) Failed() bool {
	return slices.ContainsFunc(e.Recipients, func(r Recipient) bool { return r.Outcome.Failed() })
}

// Done reports whether every recipient has an outcome.
func (e *Envelope) Done() bool {
	for _, r := range e.Recipients {
		if r.Outcome == Pending {
			return false
		}
	}
	return true
}

// Clone returns a copy that shares nothing with e.
func (e *Envelope) Clone() *Envelope {
	clone := *e
	clone.Recipients = slices.Clone(e.Recipients)
	return &clone
}
