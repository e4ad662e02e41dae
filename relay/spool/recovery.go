package spool

import (
	"errors"
	"fmt"
)

// recover counts the queue, quarantines records that cannot be read and removes files
// without a message. It looks at no content: Open checks that, and whoever opens it can tell
// the sender.
func (s *Store) recover() error {
	files, err := s.bodyFiles()
	if err != nil {
		return err
	}
	lost := make(map[string]error)
	err = s.scan(envelopeKey, func(id string, record []byte) error {
		c, err := decodeContent(record)
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
	if err := errors.Join(s.countDeadLetters(files), s.finishQuarantine(files)); err != nil {
		return err
	}
	for id, cause := range lost {
		if err := s.quarantineRecord(id, cause); err != nil {
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
