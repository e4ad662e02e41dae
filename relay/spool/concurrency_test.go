package spool

import (
	"context"
	"errors"
	"sync"
	"testing"
)

func TestEverythingAtTheSameTime(t *testing.T) {
	t.Parallel()
	fsys := memory(t)
	s := mustOpen(t, fsys)
	const workers, rounds = 8, 20
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range rounds {
				if err := oneRound(s, (i%2)*smallBody+w+1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range rounds {
			_ = s.Stats()
			if err := s.Each(func(e *Envelope) error { return nil }); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	if got := s.Stats(); got.Messages != workers*rounds/2 {
		t.Errorf("%d messages, want %d", got.Messages, workers*rounds/2)
	}
	before := s.Stats()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if after := mustOpen(t, fsys).Stats(); after != before {
		t.Errorf("stats %+v, before reopening %+v", after, before)
	}
}

// oneRound commits, reads and updates a message, and removes those that became files.
func oneRound(s *Store, n int) error {
	id, err := put(s, bodyOf(n))
	if err != nil {
		return err
	}
	r, err := s.Open(id)
	if err != nil {
		return err
	}
	e, err := s.Envelope(id)
	if err != nil {
		return err
	}
	e.Attempts++
	if err := errors.Join(r.Close(), s.Update(context.Background(), e)); err != nil {
		return err
	}
	if n > smallBody {
		return s.Remove(context.Background(), id)
	}
	return nil
}

// TestUpdateNeverBringsBackARemovedMessage races updates of two messages, named in either
// order, with their removal.
func TestUpdateNeverBringsBackARemovedMessage(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, memory(t))
	for round := range 30 {
		a, b := mustPut(t, s, bodyOf(1)), mustPut(t, s, bodyOf(2))
		ea, eb := envelopeTo("x@example.org"), envelopeTo("x@example.org")
		ea.ID, eb.ID = a, b
		calls := []func() error{
			func() error { return s.Update(context.Background(), ea, eb) },
			func() error { return s.Update(context.Background(), eb.Clone(), ea.Clone()) },
			func() error { return s.Remove(context.Background(), a, b) },
			func() error { return s.Remove(context.Background(), b, a) },
		}
		var wg sync.WaitGroup
		for _, call := range calls {
			wg.Go(func() {
				if err := call(); err != nil && !errors.Is(err, ErrNotFound) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := s.Stats(); got.Messages != 0 || got.Bytes != 0 || len(idsIn(t, s)) != 0 {
			t.Fatalf("round %d: stats %+v, messages %v", round, got, idsIn(t, s))
		}
	}
}

func TestCloseWaitsForCommitsUnderWay(t *testing.T) {
	t.Parallel()
	fsys := memory(t)
	s := mustOpen(t, fsys)
	acked := make(chan string, 1000)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				id, err := put(s, bodyOf(100))
				if err != nil {
					if !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					return
				}
				select {
				case acked <- id:
				default:
					return
				}
			}
		})
	}
	first := <-acked
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	close(acked)
	s = mustOpen(t, fsys)
	contentOf(t, s, first)
	for id := range acked {
		contentOf(t, s, id)
	}
}
