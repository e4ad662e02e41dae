package spool

import (
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options say where a Store keeps its messages and what surrounds it.
type Options struct {
	// Directory holds the spool. It must exist and belong to one Store only: a volume that
	// was not mounted must be an error, not a new and empty queue.
	Directory string
	// FS is the file system; vfs.Default when nil.
	FS vfs.FS
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// LowSpace is how many bytes must stay free on the disk for new messages to be taken;
	// zero takes them until the disk is full. A part of it is held by a file, which is given
	// up when the disk is full after all, so that outcomes can still be written.
	LowSpace int64
	// DeadLetterRetention is how long dead letters are kept at most; zero keeps them until the
	// disk needs the room.
	DeadLetterRetention time.Duration
	// Logger gets what an administrator should know; slog.Default when nil.
	Logger *slog.Logger
	// OnCommit is called with a copy of each envelope that Draft.Commit made durable,
	// before Commit returns. It must not wait for the spool.
	OnCommit func(*Envelope)
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.OnCommit == nil {
		o.OnCommit = func(*Envelope) {}
	}
	return o
}
