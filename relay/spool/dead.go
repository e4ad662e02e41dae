package spool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// deadOverhead is about what a dead letter takes besides its content.
const deadOverhead = 1 << 10

// deadLetters are what is known of the dead letters besides their records. A dead letter is
// the record of a message under a key of its own. While the message is in the queue as well,
// both have one content, and the message's record says so.
type deadLetters struct {
	count, bytes atomic.Int64
	// retention in nanoseconds; zero is for ever.
	retention atomic.Int64
	// sweeping is held by who removes them to make room, which was done last at madeRoom.
	sweeping sync.Mutex
	madeRoom time.Time
}

func (d *deadLetters) add(contents ...content) {
	for _, c := range contents {
		d.count.Add(1)
		d.bytes.Add(c.size + deadOverhead)
	}
}

func (d *deadLetters) subtract(c content) {
	d.count.Add(-1)
	d.bytes.Add(-c.size - deadOverhead)
}

// countDeadLetters counts them at the start and crosses their files off those that belong to
// no message.
func (s *Store) countDeadLetters(files map[string]struct{}) error {
	return s.scan(deadKey, func(id string, record []byte) error {
		// A record that cannot be read counts without its content.
		c, _ := decodeContent(record)
		s.dead.add(c)
		delete(files, id)
		return nil
	})
}

// EachDeadLetter implements Spool.
func (s *Store) EachDeadLetter(f func(*Envelope) error) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.active.Done()
	return s.scan(deadKey, func(id string, record []byte) error {
		envelope, err := decodeEnvelope(record)
		if err != nil {
			s.log.Error("the record of a dead letter is damaged: it is left out", "queue_id", id, "error", err)
			return nil
		}
		return f(envelope)
	})
}

// RemoveDeadLetters implements Spool.
func (s *Store) RemoveDeadLetters(ctx context.Context, ids ...string) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.active.Done()
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.removeDead(ids)
}

func (s *Store) removeDead(ids []string) error {
	defer s.keys.lock(ids)()
	batch := s.db.NewBatch()
	gone := make(map[string]content, len(ids))
	for _, id := range ids {
		c, err := s.exhume(batch, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			_ = batch.Close()
			return fmt.Errorf("remove the dead letter %s: %w", id, err)
		}
		gone[id] = c
	}
	if err := s.apply(batch); err != nil {
		return err
	}
	for id, c := range gone {
		s.dead.subtract(c)
		// dead means by now that the queue has the content.
		if c.inFile && !c.dead {
			s.removeBody(id)
		}
	}
	return nil
}

// exhume adds the removal of a dead letter, whose lock is held, to a batch. The content goes
// with it unless the message is in the queue, which is what dead says of the returned one.
func (s *Store) exhume(batch *pebble.Batch, id string) (content, error) {
	record, err := s.recordOf(deadKey, id)
	if err != nil {
		return content{}, err
	}
	// What cannot be read has no content that could be found.
	c, _ := decodeContent(record)
	if err := batch.Delete(key(deadKey, id), nil); err != nil {
		return content{}, err
	}
	queued, err := s.record(id)
	if errors.Is(err, ErrNotFound) {
		c.dead = false
		return c, c.drop(batch, id)
	}
	if err != nil {
		return content{}, err
	}
	c.dead = true
	envelope, err := decodeEnvelope(queued)
	if err != nil {
		// Each puts such a message into quarantine.
		return c, nil //nolint:nilerr // the dead letter can go all the same
	}
	alive := c
	alive.dead = false
	return c, set(batch, envelopeKey, alive, envelope)
}

// diedAt is when the last recipient of a dead letter failed.
func diedAt(e *Envelope) time.Time {
	var last time.Time
	for _, r := range e.Recipients {
		if r.Outcome.Failed() && r.OutcomeTime.After(last) {
			last = r.OutcomeTime
		}
	}
	return last
}
