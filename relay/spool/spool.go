// Package spool is the durable queue. Its contract: a message whose Draft.Commit returned
// nil is on disk and survives the loss of process and power; each of its recipients ends
// delivered, bounced or expired exactly once in the spool's books; on the wire delivery is
// at least once, with a stable Message-ID; order is not promised. A message with a recipient
// that bounced or expired is a dead letter from the write on that says so: the spool keeps it,
// apart from the queue, as long as Options and the room on the disk allow.
package spool

import (
	"context"
	"errors"
	"io"
	"time"
)

var (
	// ErrLowSpace means that the disk is too full for new messages. Outcomes of accepted
	// ones can still be written.
	ErrLowSpace = errors.New("the spool's disk is low on space")
	// ErrNotFound means that no message has the queue id.
	ErrNotFound = errors.New("no such message in the spool")
	// ErrDamaged means that the content of a message is gone or not what was accepted.
	ErrDamaged = errors.New("the message is damaged on disk")
	// ErrClosed means that the spool was closed.
	ErrClosed = errors.New("the spool is closed")
)

// Spool keeps accepted messages until every recipient has an outcome. Envelopes are kept
// apart from content, so that an attempt rewrites the small part only. All methods may be
// called at the same time.
type Spool interface {
	// Create starts a message. Nothing of it exists until Draft.Commit returns nil.
	// ErrLowSpace when the disk is low.
	Create(ctx context.Context) (Draft, error)
	// CreateOutcome starts a message that tells of the outcome of others, such as a bounce.
	// A disk that is low does not refuse it, and it may use the reserve: without it what
	// fills the disk could not leave.
	CreateOutcome(ctx context.Context) (Draft, error)
	// Envelope returns the envelope of a message; ErrNotFound when there is none.
	Envelope(id string) (*Envelope, error)
	// Open returns the content of a message as it was accepted, checked as a whole before;
	// ErrNotFound when there is none, ErrDamaged when the check failed.
	Open(id string) (io.ReadCloser, error)
	// Update replaces envelopes, all or none, durable when it returns nil. ErrNotFound when
	// one of the messages is not in the spool.
	Update(ctx context.Context, envelopes ...*Envelope) error
	// Remove forgets messages whose recipients all have an outcome.
	Remove(ctx context.Context, ids ...string) error
	// Quarantine takes a damaged message out of the queue, with this envelope, and puts its
	// remains aside for an administrator. ErrNotFound when the message is not in the spool.
	Quarantine(ctx context.Context, envelope *Envelope) error
	// EachDeadLetter calls f with the envelope of every dead letter until f returns an error,
	// the one first that was accepted first. Its recipients say who failed, when and why.
	EachDeadLetter(f func(*Envelope) error) error
	// OpenDeadLetter returns the content of a dead letter, as Open does of a message.
	OpenDeadLetter(id string) (io.ReadCloser, error)
	// RemoveDeadLetters forgets dead letters. It leaves alone what of them is in the queue.
	RemoveDeadLetters(ctx context.Context, ids ...string) error
	// Each calls f with every envelope, in no promised order, until f returns an error.
	Each(f func(*Envelope) error) error
	// Stats sums up the spool; it is cheap.
	Stats() Stats
	// Failed is closed when the disk failed in a way that makes going on unsafe, such as
	// an fsync error. The process must stop then. Err says why.
	Failed() <-chan struct{}
	// Err is why Failed was closed.
	Err() error
	// Close waits for commits under way and lets go of the directory.
	Close() error
}

// Draft is a message being written.
type Draft interface {
	io.Writer
	// ID is the queue id that the message will have. It is made of lower-case letters and
	// digits, unique over all relays, and known before the content so that Received can
	// carry it.
	ID() string
	// Commit makes the message durable, together with the updated envelopes of other
	// messages: all or none. The draft's own envelope gets ID and Size. ErrLowSpace when
	// the disk ran full on the way, ErrNotFound when one of the others is not in the spool.
	// After an error other than that of ctx the draft is over.
	Commit(ctx context.Context, envelope *Envelope, others ...*Envelope) error
	// Abort drops the draft. It does nothing after Commit returned nil.
	Abort()
}

// Stats sums up a spool.
type Stats struct {
	// Messages in the spool.
	Messages int64
	// Bytes of their content.
	Bytes int64
	// FreeBytes on the disk; negative when the file system does not tell.
	FreeBytes int64
	// Oldest is when the oldest message was accepted; zero when there is none.
	Oldest time.Time
	// Quarantined messages, of this run and earlier ones. They are no part of Messages.
	Quarantined int64
	// DeadLetters that are kept. Those of which no recipient is pending are no part of Messages.
	DeadLetters int64
	// DeadBytes is about what they take on the disk.
	DeadBytes int64
}
