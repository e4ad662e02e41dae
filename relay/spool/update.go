package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
)

// Update implements Spool. ErrNotFound, and nothing changed, when one of the messages is
// not in the spool.
func (s *Store) Update(ctx context.Context, envelopes ...*Envelope) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.active.Done()
	if err := ctx.Err(); err != nil {
		return err
	}
	defer s.keys.lock(idsOf(envelopes))()
	batch := s.db.NewBatch()
	died, err := s.replace(batch, envelopes)
	if err != nil {
		_ = batch.Close()
		return err
	}
	if err := s.apply(batch); err != nil {
		return err
	}
	s.recent.drop(idsOf(envelopes)...)
	s.dead.add(died...)
	return nil
}

// replace adds envelopes, whose locks are held, to a batch, and makes a dead letter of each
// that has a recipient who was given up. It returns the contents that had none before.
func (s *Store) replace(batch *pebble.Batch, envelopes []*Envelope) (died []content, err error) {
	for _, envelope := range envelopes {
		c, err := s.content(envelope.ID)
		if err != nil {
			return nil, fmt.Errorf("update %s: %w", envelope.ID, err)
		}
		// What is damaged goes into quarantine.
		if envelope.Failed() && !envelope.Damaged {
			if !c.dead {
				died = append(died, c)
			}
			c.dead = true
			if err := set(batch, deadKey, c, envelope); err != nil {
				return nil, err
			}
		}
		if err := set(batch, envelopeKey, c, envelope); err != nil {
			return nil, err
		}
	}
	return died, nil
}

// set adds one record to a batch.
func set(batch *pebble.Batch, kind byte, c content, envelope *Envelope) error {
	record, err := encodeRecord(c, envelope)
	if err != nil {
		return err
	}
	return batch.Set(key(kind, envelope.ID), record, nil)
}

func idsOf(envelopes []*Envelope) []string {
	ids := make([]string, 0, len(envelopes))
	for _, envelope := range envelopes {
		ids = append(ids, envelope.ID)
	}
	return ids
}

// Remove implements Spool. A message that is not there is no error: it is forgotten.
func (s *Store) Remove(ctx context.Context, ids ...string) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.active.Done()
	if err := ctx.Err(); err != nil {
		return err
	}
	defer s.keys.lock(ids)()
	batch := s.db.NewBatch()
	gone, err := s.forget(batch, ids)
	if err != nil || len(gone) == 0 {
		_ = batch.Close()
		return err
	}
	if err := s.apply(batch); err != nil {
		return err
	}
	s.recent.drop(ids...)
	for id, content := range gone {
		s.messages.Add(-1)
		s.bytes.Add(-content.size)
		if content.inFile && !content.dead {
			s.removeBody(id)
		}
	}
	return nil
}

// forget adds the removal of messages, whose locks are held, to a batch. A dead letter keeps
// the content.
func (s *Store) forget(batch *pebble.Batch, ids []string) (map[string]content, error) {
	gone := make(map[string]content, len(ids))
	for _, id := range ids {
		content, err := s.content(id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("remove %s: %w", id, err)
		}
		if err := batch.Delete(key(envelopeKey, id), nil); err != nil {
			return nil, err
		}
		if !content.dead {
			if err := content.drop(batch, id); err != nil {
				return nil, err
			}
		}
		gone[id] = content
	}
	return gone, nil
}

// drop adds the removal of content that is in the database to a batch. The size lets pebble
// see how much a compaction would free.
func (c content) drop(batch *pebble.Batch, id string) error {
	if c.inFile {
		return nil
	}
	return batch.DeleteSized(key(bodyKey, id), uint32(c.size), nil)
}

// removeBody removes the file of a message that is no longer in the queue. What it cannot
// remove, the next start does.
func (s *Store) removeBody(id string) {
	if err := s.layout.fs.Remove(s.layout.body(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("cannot remove a message's file: the next start will", "id", id, "error", err)
	}
}
