package spool

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

var _ Spool = (*Store)(nil)

// Store is the Spool on a disk: envelopes and small contents in a pebble database, larger
// contents in files of their own.
type Store struct {
	layout layout
	space  *space
	now    func() time.Time
	log    *slog.Logger
	notify func(*Envelope)
	lock   *pebble.Lock
	db     *pebble.DB
	keys   *keyLocks
	recent *recent
	// removals under way
	removals removals

	// buffered is what drafts hold in memory beyond a chunk each.
	buffered    atomic.Int64
	messages    atomic.Int64
	bytes       atomic.Int64
	quarantined atomic.Int64
	dead        deadLetters

	failOnce sync.Once
	failed   chan struct{}
	err      error

	mu     sync.Mutex
	closed bool
	active sync.WaitGroup
}

// Open opens the spool of a directory, makes one in an empty directory, and sets right what
// a crash left behind. The errors say what an administrator has to change.
func Open(opts Options) (*Store, error) {
	opts = opts.withDefaults()
	s := &Store{
		layout: newLayout(opts.FS, opts.Directory),
		now:    opts.Now,
		log:    opts.Logger,
		notify: opts.OnCommit,
		keys:   newKeyLocks(),
		recent: newRecent(),
		failed: make(chan struct{}),
	}
	s.space = newSpace(s.layout, opts, s.fail)
	s.dead.retention.Store(int64(opts.DeadLetterRetention))
	lock, err := s.layout.claim()
	if err != nil {
		return nil, err
	}
	s.lock = lock
	if err := s.start(); err != nil {
		return nil, errors.Join(s.layout.explain(err), s.release())
	}
	return s, nil
}

func (s *Store) start() error {
	isNew, err := s.layout.checkFormat()
	if err != nil {
		return err
	}
	// A look at the disk makes the reserve.
	s.space.available()
	if s.db, err = s.openDatabase(isNew); err != nil {
		return err
	}
	if isNew {
		err = s.layout.writeFormat()
	}
	if err := errors.Join(err, syncDir(s.layout.fs, s.layout.root)); err != nil {
		return err
	}
	return s.recover()
}

// Close waits for calls under way and closes the database. After a failure it does not
// touch the database again.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.active.Wait()
	if err := s.Err(); err != nil {
		return err
	}
	return s.release()
}

// release closes the database and lets go of the directory. A database that failed may hold
// its locks for ever, so it is left to the end of the process.
func (s *Store) release() error {
	if s.Err() != nil {
		return nil //nolint:nilerr // Err says how it failed
	}
	var err error
	if s.db != nil {
		err = s.db.Close()
	}
	return errors.Join(err, s.lock.Close())
}

// begin lets a call in; the call must s.active.Done() when it is over.
func (s *Store) begin() error {
	if err := s.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.active.Add(1)
	return nil
}

// fail records the first reason why the store cannot go on.
func (s *Store) fail(err error) {
	s.failOnce.Do(func() {
		s.err = fmt.Errorf("the spool failed and must not be used on: %w", err)
		s.log.Error("the spool's disk failed", "directory", s.layout.root, "error", err)
		close(s.failed)
	})
}

// Failed implements Spool.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Err implements Spool.
func (s *Store) Err() error {
	select {
	case <-s.failed:
		return s.err
	default:
		return nil
	}
}

// SetLowSpace changes Options.LowSpace.
func (s *Store) SetLowSpace(bytes int64) { s.space.low.Store(bytes) }

// SetDeadLetterRetention changes Options.DeadLetterRetention.
func (s *Store) SetDeadLetterRetention(d time.Duration) { s.dead.retention.Store(int64(d)) }

// Stats implements Spool.
func (s *Store) Stats() Stats {
	stats := Stats{
		Messages:    s.messages.Load(),
		Bytes:       s.bytes.Load(),
		Quarantined: s.quarantined.Load(),
		DeadLetters: s.dead.count.Load(),
		DeadBytes:   s.dead.bytes.Load(),
		FreeBytes:   unknownSpace,
	}
	if s.begin() != nil {
		return stats
	}
	defer s.active.Done()
	stats.FreeBytes = s.space.available()
	// Ids sort by time, so the first message is the oldest.
	err := s.scan(envelopeKey, func(_ string, record []byte) error {
		if oldest, err := decodeEnvelope(record); err == nil {
			stats.Oldest = oldest.Accepted
			return errStop
		}
		return nil
	})
	if err != nil && !errors.Is(err, errStop) {
		s.log.Warn("cannot find the oldest message", "error", err)
	}
	return stats
}

// errStop ends a scan early.
var errStop = errors.New("stop")

// Envelope implements Spool.
func (s *Store) Envelope(id string) (*Envelope, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.active.Done()
	if m := s.recent.get(id); m != nil {
		return m.envelope.Clone(), nil
	}
	record, err := s.record(id)
	if err != nil {
		return nil, err
	}
	return decodeEnvelope(record)
}

// content returns what is known of the content of a message.
func (s *Store) content(id string) (content, error) {
	if m := s.recent.get(id); m != nil {
		return m.content, nil
	}
	record, err := s.record(id)
	if err != nil {
		return content{}, err
	}
	return decodeContent(record)
}

// record returns the record of a message of the queue.
func (s *Store) record(id string) ([]byte, error) { return s.recordOf(envelopeKey, id) }

func (s *Store) recordOf(kind byte, id string) ([]byte, error) {
	if !validID(id) {
		return nil, fmt.Errorf("%w: %q is no queue id", ErrNotFound, id)
	}
	return s.get(kind, id)
}

// Each implements Spool. Messages committed or removed meanwhile may be left out or shown.
func (s *Store) Each(f func(*Envelope) error) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.active.Done()
	return s.scan(envelopeKey, func(id string, record []byte) error {
		envelope, err := decodeEnvelope(record)
		if err != nil {
			return s.quarantineRecord(id, err)
		}
		return f(envelope)
	})
}
