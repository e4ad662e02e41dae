package spool

import (
	"context"
	"errors"
	"time"
)

const (
	// deadShare is the part of the disk that dead letters may take: one over this.
	deadShare = 10
	// sweepBatch is how many dead letters are removed in one write.
	sweepBatch = 1000
	// sweepPause is how long the file system may take to show the room that was made.
	sweepPause = 10 * time.Second
)

// Sweep removes dead letters: those that were kept for long enough, then the oldest ones as
// far as they take more than their share of the disk, or the disk comes near to where new mail
// is refused. It is to be called every minute or so.
func (s *Store) Sweep(ctx context.Context) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.active.Done()
	s.dead.sweeping.Lock()
	defer s.dead.sweeping.Unlock()
	return errors.Join(s.sweepExpired(ctx), s.sweepShare(ctx), s.sweepForRoom(ctx))
}

// makeRoom removes dead letters so that new mail need not be refused, and reports whether that
// was enough.
func (s *Store) makeRoom(ctx context.Context) bool {
	if s.dead.count.Load() == 0 || !s.dead.sweeping.TryLock() {
		return false
	}
	defer s.dead.sweeping.Unlock()
	if err := s.sweepForRoom(ctx); err != nil {
		s.log.Error("cannot remove dead letters from a disk that is low on space", "error", err)
	}
	return !s.space.isLow()
}

func (s *Store) sweepExpired(ctx context.Context) error {
	retention := time.Duration(s.dead.retention.Load())
	if retention <= 0 {
		return nil
	}
	limit := s.now().Add(-retention)
	// Nothing fails before it was accepted, which is how ids sort.
	youngest := newID(limit)[:idTimeLen]
	removed, err := s.removeOldest(ctx, func(id string, record []byte) (remove, stop bool) {
		envelope, err := decodeEnvelope(record)
		return err != nil || diedAt(envelope).Before(limit), id[:min(len(id), idTimeLen)] > youngest
	})
	if len(removed) > 0 {
		s.log.Info("dead letters were removed after their time", "dead_letters", len(removed), "retention", retention)
	}
	return err
}

// sweepShare keeps dead letters to their share of the disk.
func (s *Store) sweepShare(ctx context.Context) error {
	total := s.space.size()
	if total <= 0 {
		return nil
	}
	_, err := s.sweepBytes(ctx, s.dead.bytes.Load()-total/deadShare, "they take more than a tenth of the disk")
	return err
}

// sweepForRoom removes dead letters before new mail has to be refused: at twice the free space
// at which it would be.
func (s *Store) sweepForRoom(ctx context.Context) error {
	low, free := s.space.low.Load(), s.space.available()
	if low <= 0 || free < 0 || free >= 2*low || s.now().Sub(s.dead.madeRoom) < sweepPause {
		return nil
	}
	removed, err := s.sweepBytes(ctx, 2*low-free, "the disk is low on space")
	if err != nil || len(removed) == 0 {
		return err
	}
	s.dead.madeRoom = s.now()
	err = s.compact(ctx, bodyKey, removed[0], removed[len(removed)-1])
	s.space.lookAgain()
	return err
}

// sweepBytes removes the oldest dead letters that have so many bytes.
func (s *Store) sweepBytes(ctx context.Context, bytes int64, why string) ([]string, error) {
	if bytes <= 0 || s.dead.count.Load() == 0 {
		return nil, nil
	}
	var found int64
	removed, err := s.removeOldest(ctx, func(_ string, record []byte) (remove, stop bool) {
		enough := found >= bytes
		c, _ := decodeContent(record)
		found += c.size + deadOverhead
		return true, enough
	})
	if len(removed) > 0 {
		s.log.Warn("the oldest dead letters were removed before their time", "reason", why, "dead_letters", len(removed))
	}
	return removed, err
}

// removeOldest removes the dead letters that choose says, in the order of their ids, until it
// says stop. It returns their ids.
func (s *Store) removeOldest(ctx context.Context, choose func(id string, record []byte) (remove, stop bool)) ([]string, error) {
	var removed []string
	for {
		var ids []string
		err := s.scan(deadKey, func(id string, record []byte) error {
			if len(ids) == sweepBatch {
				return errStop
			}
			remove, stop := choose(id, record)
			if stop {
				return errStop
			}
			if remove {
				ids = append(ids, id)
			}
			return ctx.Err()
		})
		if err != nil && !errors.Is(err, errStop) {
			return removed, err
		}
		if len(ids) > 0 {
			if err := s.removeDead(ids); err != nil {
				return removed, err
			}
		}
		removed = append(removed, ids...)
		if len(ids) < sweepBatch {
			return removed, nil
		}
	}
}
