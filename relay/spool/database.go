package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
)

const (
	// databaseFormat is pinned, so that an upgrade of the library does not by itself make a
	// spool that an older relay cannot read.
	databaseFormat = pebble.FormatWALSyncChunks
	cacheSize      = 8 << 20
	memTableSize   = 8 << 20
	// memTables is how many memory tables may wait to be written out before commits do.
	memTables = 3
	openFiles = 256
)

// openDatabase opens pebble, tuned for few long-lived keys and little memory. Content is
// stored as it is: what a message takes on the disk is then its size. Only a new spool may
// have no database yet.
func (s *Store) openDatabase(isNew bool) (*pebble.DB, error) {
	opts := &pebble.Options{
		FS:                          failStop{s.space.outcomes, s.fail},
		Lock:                        s.lock,
		ErrorIfNotExists:            !isNew,
		FormatMajorVersion:          databaseFormat,
		CacheSize:                   cacheSize,
		MemTableSize:                memTableSize,
		MemTableStopWritesThreshold: memTables,
		MaxOpenFiles:                openFiles,
		Logger:                      databaseLog{s.log, s.fail},
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { s.fail(fmt.Errorf("write the queue: %w", err)) },
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				s.fail(fmt.Errorf("%s is damaged: %w", info.Path, info.Details))
			},
		},
	}
	for i := range opts.Levels {
		opts.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	}
	var db *pebble.DB
	err := s.guard(func() (err error) {
		db, err = pebble.Open(s.layout.queue, opts)
		return err
	})
	return db, err
}

// guard runs f, which may hang once the disk has failed, and returns the failure then.
func (s *Store) guard(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-s.failed:
		return s.err
	}
}

// databaseLog passes on what pebble logs. Pebble calls Fatalf where it cannot go on and
// relies on its not returning. Ending the process is up to the program and not to a library,
// so the store fails and pebble is left hanging.
type databaseLog struct {
	log  *slog.Logger
	fail func(error)
}

func (l databaseLog) Infof(format string, args ...any) {
	l.log.Debug("queue: " + fmt.Sprintf(format, args...))
}

func (l databaseLog) Errorf(format string, args ...any) {
	l.log.Warn("queue: " + fmt.Sprintf(format, args...))
}

func (l databaseLog) Fatalf(format string, args ...any) {
	l.fail(fmt.Errorf("queue: "+format, args...))
	select {}
}

// apply makes a batch durable. Pebble gathers the batches of callers that wait at the same
// time into one write and one fsync. There is no way to give up waiting, but for a failure
// of the disk: a batch that was started may be durable.
func (s *Store) apply(batch *pebble.Batch) error {
	return s.guard(func() error {
		if err := batch.Commit(pebble.Sync); err != nil {
			return err
		}
		return batch.Close()
	})
}

// get returns a copy of a record; ErrNotFound when there is none.
func (s *Store) get(kind byte, id string) ([]byte, error) {
	value, closer, err := s.db.Get(key(kind, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", id, err)
	}
	defer closer.Close()
	return append([]byte(nil), value...), nil
}

// scan calls f with the id and record of every key of a kind, until f returns an error. The
// record is valid until f returns.
func (s *Store) scan(kind byte, f func(id string, record []byte) error) error {
	records, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		return fmt.Errorf("read the queue: %w", err)
	}
	defer func() { _ = records.Close() }() // what failed is in records.Error
	for records.First(); records.Valid(); records.Next() {
		if err := f(string(records.Key()[1:]), records.Value()); err != nil {
			return err
		}
	}
	if err := records.Error(); err != nil {
		return fmt.Errorf("read the queue: %w", err)
	}
	return nil
}

// compact frees the room of removed keys of a kind, from the id first to last. Without it that
// could take until enough new ones were written.
func (s *Store) compact(ctx context.Context, kind byte, first, last string) error {
	return s.guard(func() error {
		return s.db.Compact(ctx, key(kind, first), key(kind, last+"\x00"), false)
	})
}
