package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// Quarantine implements Spool.
func (s *Store) Quarantine(ctx context.Context, envelope *Envelope) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.active.Done()
	if err := ctx.Err(); err != nil {
		return err
	}
	id := envelope.ID
	defer s.keys.lock([]string{id})()
	old, err := s.record(id)
	if err != nil {
		return err
	}
	c, err := decodeContent(old)
	if err != nil {
		return fmt.Errorf("quarantine %s: %w", id, err)
	}
	record, err := encodeRecord(c, envelope)
	if err != nil {
		return err
	}
	return s.takeOut(id, record)
}

// quarantineRecord takes a message out of the queue whose record cannot be read, so that
// nobody can be told. Nothing happens to a message that is not there.
func (s *Store) quarantineRecord(id string, cause error) error {
	defer s.keys.lock([]string{id})()
	record, err := s.get(envelopeKey, id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.takeOut(id, record); err != nil {
		return err
	}
	s.log.Error("the record of a message is damaged: it was quarantined, will not be delivered, and nobody was told",
		"queue_id", id, "error", cause, "directory", s.layout.root)
	return nil
}

// takeOut moves a message, whose lock is held, from the queue into quarantine.
func (s *Store) takeOut(id string, record []byte) error {
	c, _ := decodeContent(record)
	batch := s.db.NewBatch()
	err := errors.Join(batch.Set(key(quarantineKey, id), record, nil), batch.Delete(key(envelopeKey, id), nil))
	if c.dead {
		err = errors.Join(err, batch.Delete(key(deadKey, id), nil))
	}
	if err != nil {
		_ = batch.Close()
		return err
	}
	if err := s.apply(batch); err != nil {
		return err
	}
	s.recent.drop(id)
	if c.dead {
		s.dead.subtract(c)
	}
	s.messages.Add(-1)
	s.bytes.Add(-c.size)
	s.quarantined.Add(1)
	if c.inFile {
		s.setAside(id)
	}
	return nil
}

// setAside moves the file of a message into quarantine.
func (s *Store) setAside(id string) {
	err := s.layout.fs.Rename(s.layout.body(id), s.layout.quarantined(id))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("cannot move a damaged message: the next start will", "queue_id", id, "error", err)
	}
}

// finishQuarantine counts what is in quarantine and moves the files that a crash kept from
// following their records.
func (s *Store) finishQuarantine(files map[string]struct{}) error {
	return s.scan(quarantineKey, func(id string, _ []byte) error {
		s.quarantined.Add(1)
		if _, ok := files[id]; ok {
			delete(files, id)
			s.setAside(id)
		}
		return nil
	})
}
