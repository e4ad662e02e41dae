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
	if err := s.replace(batch, envelopes); err != nil {
		_ = batch.Close()
		return err
	}
	return s.apply(batch)
}

// replace adds envelopes, whose locks are held, to a batch.
func (s *Store) replace(batch *pebble.Batch, envelopes []*Envelope) error {
	for _, envelope := range envelopes {
		old, err := s.record(envelope.ID)
		if err != nil {
			return err
		}
		content, err := decodeContent(old)
		if err != nil {
			return fmt.Errorf("update %s: %w", envelope.ID, err)
		}
		if err := set(batch, content, envelope); err != nil {
			return err
		}
	}
	return nil
}

// set adds one envelope to a batch.
func set(batch *pebble.Batch, c content, envelope *Envelope) error {
	record, err := encodeRecord(c, envelope)
	if err != nil {
		return err
	}
	return batch.Set(key(envelopeKey, envelope.ID), record, nil)
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
	for id, content := range gone {
		s.messages.Add(-1)
		s.bytes.Add(-content.size)
		if content.inFile {
			s.removeBody(id)
		}
	}
	return nil
}

// forget adds the removal of messages, whose locks are held, to a batch.
func (s *Store) forget(batch *pebble.Batch, ids []string) (map[string]content, error) {
	gone := make(map[string]content, len(ids))
	for _, id := range ids {
		record, err := s.record(id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		content, err := decodeContent(record)
		if err != nil {
			return nil, fmt.Errorf("remove %s: %w", id, err)
		}
		if err := batch.Delete(key(envelopeKey, id), nil); err != nil {
			return nil, err
		}
		if !content.inFile {
			// The size lets pebble see how much a compaction would free.
			if err := batch.DeleteSized(key(bodyKey, id), uint32(content.size), nil); err != nil {
				return nil, err
			}
		}
		gone[id] = content
	}
	return gone, nil
}

// removeBody removes the file of a message that is no longer in the queue. What it cannot
// remove, the next start does.
func (s *Store) removeBody(id string) {
	if err := s.layout.fs.Remove(s.layout.body(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("cannot remove a message's file: the next start will", "id", id, "error", err)
	}
}
