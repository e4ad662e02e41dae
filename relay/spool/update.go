package spool

import (
	"context"
	"fmt"

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
