package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// Remove implements Spool. A message that is not there is no error: it is forgotten.
func (s *Store) Remove(ctx context.Context, ids ...string) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.active.Done()
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.removals.join(ids, s.removeNow)
}

// removals gathers calls that come while a removal is under way: one of them then does the
// work of all. Most messages are removed one by one, right after their delivery.
type removals struct {
	mu   sync.Mutex
	next *removal
	// turn is held by the removal under way.
	turn sync.Mutex
}

// removal is a group of calls.
type removal struct {
	ids  []string
	done chan struct{}
	err  error
}

// join adds ids to the next group and returns when that is removed. Whatever keeps a group
// from being removed is no reason not to remove those ids of it that can be.
func (r *removals) join(ids []string, remove func([]string) error) error {
	r.mu.Lock()
	group, first := r.next, r.next == nil
	if first {
		group = &removal{done: make(chan struct{})}
		r.next = group
	}
	group.ids = append(group.ids, ids...)
	r.mu.Unlock()
	if first {
		r.turn.Lock()
		r.mu.Lock()
		r.next = nil
		r.mu.Unlock()
		group.err = remove(group.ids)
		close(group.done)
		r.turn.Unlock()
	}
	<-group.done
	if group.err != nil && len(group.ids) > len(ids) {
		return remove(ids)
	}
	return group.err
}

// removeNow removes messages in one batch.
func (s *Store) removeNow(ids []string) error {
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
