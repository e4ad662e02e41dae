package spool

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
)

const (
	// databaseFormat is pinned, so that an upgrade of the library does not by itself make a
	// spool that an older relay cannot read.
	databaseFormat = pebble.FormatValueSeparation
	cacheSize      = 8 << 20
	memTableSize   = 4 << 20
	// memTables is how many memory tables may wait to be written out before commits do.
	memTables = 4
	openFiles = 256
)

// openDatabase opens pebble, tuned for few long-lived keys and little memory. Content is
// stored as it is: what a message takes on the disk is then its size.
func (s *Store) openDatabase(lock *pebble.Lock) (*pebble.DB, error) {
	opts := &pebble.Options{
		FS:                          s.space.database(),
		Lock:                        lock,
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
	return pebble.Open(s.layout.queue, opts)
}

// databaseLog passes on what pebble logs. Pebble calls Fatalf where it cannot go on and
// expects the process to end there; a library must leave that to its program, so the store
// fails instead: every call is refused from then on, and the one under way, to which pebble
// may now report success, is checked against the failure by Store.apply.
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
	// An argument that is an error stays one, so that errors.Is works on Store.Err.
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			l.fail(fmt.Errorf("write the queue: %w", err))
			return
		}
	}
	l.fail(errors.New(fmt.Sprintf(format, args...)))
}

// apply makes a batch durable. Pebble gathers the batches of callers that wait at the same
// time into one write and one fsync.
//
// It runs apart from the caller because after a failed write pebble panics or waits for
// ever, with locks held; the caller then gets the failure instead. There is no way to give
// up waiting otherwise: a batch that was started may be durable.
func (s *Store) apply(batch *pebble.Batch) error {
	done := make(chan struct{})
	go func() {
		defer func() {
			if p := recover(); p != nil {
				s.fail(fmt.Errorf("write the queue: %v", p))
			}
			close(done)
		}()
		if err := batch.Commit(pebble.Sync); err != nil {
			s.fail(fmt.Errorf("write the queue: %w", err))
			return
		}
		_ = batch.Close()
	}()
	select {
	case <-done:
	case <-s.failed:
	}
	return s.Err()
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
	defer records.Close()
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
