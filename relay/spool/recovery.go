package spool

import (
	"errors"
	"fmt"
	"io/fs"
)

// recover compares the queue with the files beside it: messages whose file is missing or
// has the wrong size are quarantined, files without a message are removed. It reads no
// content; Open checks that.
func (s *Store) recover() error {
	files, err := s.bodyFiles()
	if err != nil {
		return err
	}
	lost := make(map[string]error)
	err = s.scan(envelopeKey, func(id string, record []byte) error {
		c, err := decodeContent(record)
		if err == nil && c.inFile {
			err = s.checkFile(id, c, files)
		}
		delete(files, id)
		s.messages.Add(1)
		s.bytes.Add(c.size)
		if err != nil {
			lost[id] = err
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.finishQuarantine(files); err != nil {
		return err
	}
	for id, cause := range lost {
		if err := s.quarantine(id, cause); err != nil {
			return err
		}
	}
	for name := range files {
		s.log.Info("removing a message that was not accepted before the relay stopped", "id", name)
		s.removeBody(name)
	}
	return nil
}

func (s *Store) bodyFiles() (map[string]struct{}, error) {
	names, err := s.layout.fs.List(s.layout.bodies)
	if err != nil {
		return nil, fmt.Errorf("list the contents of messages: %w", err)
	}
	files := make(map[string]struct{}, len(names))
	for _, name := range names {
		files[name] = struct{}{}
	}
	return files, nil
}

// checkFile looks at a message's file from outside.
func (s *Store) checkFile(id string, c content, files map[string]struct{}) error {
	if _, ok := files[id]; !ok {
		return fmt.Errorf("%w: its file is missing", errContent)
	}
	info, err := s.layout.fs.Stat(s.layout.body(id))
	if err != nil {
		return err
	}
	if info.Size() != c.size {
		return fmt.Errorf("%w: its file has %d bytes, want %d", errContent, info.Size(), c.size)
	}
	return nil
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

// quarantine takes a message out of the queue, keeps its remains and says so loudly. Nothing
// happens to a message that is not there.
func (s *Store) quarantine(id string, cause error) error {
	defer s.keys.lock([]string{id})()
	record, err := s.get(envelopeKey, id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	batch := s.db.NewBatch()
	if err := errors.Join(batch.Set(key(quarantineKey, id), record, nil), batch.Delete(key(envelopeKey, id), nil)); err != nil {
		_ = batch.Close()
		return err
	}
	if err := s.apply(batch); err != nil {
		return err
	}
	c, _ := decodeContent(record)
	s.messages.Add(-1)
	s.bytes.Add(-c.size)
	s.quarantined.Add(1)
	if c.inFile {
		s.setAside(id)
	}
	s.reportLoss(id, record, cause)
	return nil
}

// setAside moves the file of a message into quarantine.
func (s *Store) setAside(id string) {
	err := s.layout.fs.Rename(s.layout.body(id), s.layout.quarantined(id))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("cannot move a damaged message: the next start will", "id", id, "error", err)
	}
}

// reportLoss logs all that is known of a message that will not be delivered, so that its
// sender can be told.
func (s *Store) reportLoss(id string, record []byte, cause error) {
	fields := []any{"id", id, "error", cause, "directory", s.layout.quarantine}
	if envelope, err := decodeEnvelope(record); err == nil {
		fields = append(fields, "user", envelope.User, "messageID", envelope.MessageID,
			"accepted", envelope.Accepted, "recipients", len(envelope.Recipients))
	}
	s.log.Error("a message is damaged and was quarantined: it will not be delivered", fields...)
}
