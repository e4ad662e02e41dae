package spool

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// spaceMaxAge is for how long a look at the disk is good enough; what was written
	// since is subtracted.
	spaceMaxAge = time.Second
	// maxReserve bounds the reserve: enough for the database to write its memory tables
	// and the outcomes of some ten thousand recipients.
	maxReserve = 16 << 20
	// unknownSpace is the free space of a file system that does not tell.
	unknownSpace = -1
)

// space knows how much room the disk has, and keeps a reserve of it.
type space struct {
	layout layout
	// outcomes is the file system for what must be written on a full disk as well, which
	// costs the reserve.
	outcomes vfs.FS
	now      func() time.Time
	log      *slog.Logger
	fail     func(error)
	low      atomic.Int64
	written  atomic.Int64
	reserved atomic.Bool

	mu    sync.Mutex
	at    time.Time
	free  int64
	total int64
}

// newSpace looks after the disk of a spool. fail is called when what was written before may
// be lost.
func newSpace(l layout, opts Options, fail func(error)) *space {
	s := &space{layout: l, now: opts.Now, log: opts.Logger, fail: fail, free: unknownSpace}
	s.outcomes = vfs.OnDiskFull(l.fs, s.release)
	s.low.Store(opts.LowSpace)
	return s
}

// available is the free space in bytes, negative when it is unknown.
func (s *space) available() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if age := now.Sub(s.at); s.at.IsZero() || age < 0 || age >= spaceMaxAge {
		s.at = now
		s.written.Store(0)
		s.free = s.measure()
		s.replenish()
	}
	if s.free < 0 {
		return unknownSpace
	}
	return max(0, s.free-s.written.Load())
}

func (s *space) measure() int64 {
	usage, err := s.layout.fs.GetDiskUsage(s.layout.root)
	if err != nil {
		s.log.Debug("the free space of the spool is unknown", "error", err)
		return unknownSpace
	}
	s.total = int64(usage.TotalBytes)
	return int64(usage.AvailBytes)
}

// size is that of the disk in bytes, zero when it is unknown.
func (s *space) size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// lookAgain makes the next caller look at the disk.
func (s *space) lookAgain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = time.Time{}
}

// isLow reports whether new messages must be refused.
func (s *space) isLow() bool {
	low := s.low.Load()
	if low <= 0 {
		return false
	}
	free := s.available()
	return !s.reserved.Load() || free >= 0 && free < low
}

// used notes that n bytes were written.
func (s *space) used(n int) { s.written.Add(int64(n)) }

// reserveSize is how much of the low-space mark the reserve holds.
func (s *space) reserveSize() int64 { return min(s.low.Load()/4, maxReserve) }

// replenish makes the reserve, when there is none and the disk has the room.
func (s *space) replenish() {
	size := s.reserveSize()
	if size <= 0 || s.reserved.Load() {
		return
	}
	if info, err := s.layout.fs.Stat(s.layout.reserve); err == nil && info.Size() >= size {
		s.reserved.Store(true)
		return
	}
	if s.free >= 0 && s.free < s.low.Load()+size {
		return
	}
	if err := s.fillReserve(size); err != nil {
		s.log.Warn("cannot reserve space for outcomes", "file", s.layout.reserve, "error", err)
		_ = s.layout.fs.Remove(s.layout.reserve)
		return
	}
	s.reserved.Store(true)
	if s.free >= 0 {
		s.free -= size
	}
}

// fillReserve writes the reserve's file. It is synced because many file systems allocate
// only then.
func (s *space) fillReserve(size int64) error {
	f, err := s.layout.fs.Create(s.layout.reserve, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	for left := size; left > 0 && err == nil; {
		n := min(left, chunkSize)
		_, err = f.Write(new(chunk)[:n])
		left -= n
	}
	if err == nil {
		if err = f.Sync(); err != nil && !isFull(err) {
			s.fail(fmt.Errorf("sync %s: %w", s.layout.reserve, err))
		}
	}
	return errors.Join(err, f.Close())
}

// release gives the reserve up. The file system of outcomes calls it when a write found the
// disk full, and then tries that write again.
func (s *space) release() {
	if err := s.layout.fs.Remove(s.layout.reserve); err != nil {
		s.log.Error("the spool's disk is full and there is no reserve", "directory", s.layout.root, "error", err)
	} else {
		s.log.Error("the spool's disk is full: its reserve was given up to write outcomes", "directory", s.layout.root)
	}
	s.reserved.Store(false)
}
