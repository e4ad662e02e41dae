package spool

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"
)

// deadLettersIn are the dead letters of a store by id.
func deadLettersIn(t testing.TB, s *Store) map[string]*Envelope {
	t.Helper()
	found := make(map[string]*Envelope)
	if err := s.EachDeadLetter(func(e *Envelope) error { found[e.ID] = e; return nil }); err != nil {
		t.Fatal(err)
	}
	return found
}

func deadContentOf(t testing.TB, s *Store, id string) []byte {
	t.Helper()
	r, err := s.OpenDeadLetter(id)
	if err != nil {
		t.Fatalf("open the dead letter %s: %v", id, err)
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// fail gives up the recipients of a message with these indices, at a time.
func fail(t testing.TB, s *Store, id string, at time.Time, recipients ...int) *Envelope {
	t.Helper()
	e, err := s.Envelope(id)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range recipients {
		e.Recipients[i].Outcome, e.Recipients[i].Reply, e.Recipients[i].OutcomeTime = Bounced, "550 5.1.1 No such user", at
	}
	if err := s.Update(context.Background(), e); err != nil {
		t.Fatal(err)
	}
	return e
}

func mustRemove(t testing.TB, s *Store, id string) {
	t.Helper()
	if err := s.Remove(context.Background(), id); err != nil {
		t.Fatal(err)
	}
}

// bury makes a dead letter of n bytes that is not in the queue any more.
func bury(t testing.TB, s *Store, n int, at time.Time) string {
	t.Helper()
	id := mustPut(t, s, bodyOf(n))
	fail(t, s, id, at, 0)
	mustRemove(t, s, id)
	return id
}

// keysIn are the keys of the database, but for those of the queue.
func keysIn(t testing.TB, s *Store, kind byte) []string {
	t.Helper()
	var ids []string
	if err := s.scan(kind, func(id string, _ []byte) error { ids = append(ids, id); return nil }); err != nil {
		t.Fatal(err)
	}
	return ids
}

var sizes = map[string]int{"in the database": 100, "in a file": smallBody + 100}

func TestDeadLetterOutlivesItsMessageAndARestart(t *testing.T) {
	t.Parallel()
	for name, n := range sizes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := memory(t)
			s := mustOpen(t, disk)
			id := bury(t, s, n, newClock().Now())
			stats := s.Stats()
			if stats.Messages != 0 || stats.Bytes != 0 || stats.DeadLetters != 1 || stats.DeadBytes != int64(n)+deadOverhead {
				t.Errorf("stats %+v", stats)
			}
			if _, err := s.Open(id); !errors.Is(err, ErrNotFound) {
				t.Errorf("open: %v, a dead letter is not in the queue", err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, disk)
			if after := s.Stats(); after != stats {
				t.Errorf("stats %+v, before the restart %+v", after, stats)
			}
			e := deadLettersIn(t, s)[id]
			if e == nil || e.Recipients[0].Reply != "550 5.1.1 No such user" || e.ReversePath != "shop@example.org" {
				t.Errorf("envelope %+v", e)
			}
			if !bytes.Equal(deadContentOf(t, s, id), bodyOf(n)) {
				t.Error("the content differs")
			}
		})
	}
}

func TestRemovedDeadLetterLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, n := range sizes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := mustOpen(t, memory(t))
			id := bury(t, s, n, newClock().Now())
			for range 2 { // the second time there is nothing to remove
				if err := s.RemoveDeadLetters(context.Background(), id, "unknown"); err != nil {
					t.Fatal(err)
				}
			}
			files, _ := s.layout.fs.List(s.layout.bodies)
			if stats := s.Stats(); stats.DeadLetters != 0 || stats.DeadBytes != 0 || len(files) > 0 || len(keysIn(t, s, bodyKey)) > 0 || len(keysIn(t, s, deadKey)) > 0 {
				t.Errorf("stats %+v, files %v, bodies %v", stats, files, keysIn(t, s, bodyKey))
			}
		})
	}
}

func TestMessageAndItsDeadLetterShareTheContent(t *testing.T) {
	t.Parallel()
	for name, n := range sizes {
		for _, first := range []string{"message", "dead letter"} {
			t.Run(name+", the "+first+" goes first", func(t *testing.T) {
				t.Parallel()
				s := mustOpen(t, memory(t))
				d, err := s.Create(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				_, _ = d.Write(bodyOf(n))
				if err := d.Commit(context.Background(), envelopeTo("bob@example.net", "eve@example.net")); err != nil {
					t.Fatal(err)
				}
				id := d.ID()
				fail(t, s, id, newClock().Now(), 0)
				fail(t, s, id, newClock().Now(), 0) // an update that says nothing new
				if stats := s.Stats(); stats.Messages != 1 || stats.DeadLetters != 1 || !bytes.Equal(contentOf(t, s, id), deadContentOf(t, s, id)) {
					t.Fatalf("stats %+v", stats)
				}
				if first == "message" {
					mustRemove(t, s, id)
					deadContentOf(t, s, id)
					_ = s.RemoveDeadLetters(context.Background(), id)
				} else {
					if err := s.RemoveDeadLetters(context.Background(), id); err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(contentOf(t, s, id), bodyOf(n)) || len(deadLettersIn(t, s)) != 0 {
						t.Fatal("the message lost its content with the dead letter, or that is still there")
					}
					mustRemove(t, s, id)
				}
				files, _ := s.layout.fs.List(s.layout.bodies)
				if stats := s.Stats(); stats.DeadLetters != 0 || stats.Messages != 0 || len(files)+len(keysIn(t, s, bodyKey)) > 0 {
					t.Errorf("stats %+v, files %v, bodies %v", stats, files, keysIn(t, s, bodyKey))
				}
			})
		}
	}
}

func TestBounceAndDeadLetterAreOneWrite(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, memory(t))
	id := mustPut(t, s, bodyOf(10))
	e, err := s.Envelope(id)
	if err != nil {
		t.Fatal(err)
	}
	e.Recipients[0].Outcome = Expired
	mustPut(t, s, bodyOf(20), e)
	if stats := s.Stats(); stats.Messages != 2 || stats.DeadLetters != 1 || stats.DeadBytes != 10+deadOverhead {
		t.Errorf("stats %+v", stats)
	}
}

func TestDeadLetterIsMadeAgainByTheNextFailure(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, memory(t))
	id := mustPut(t, s, bodyOf(10))
	fail(t, s, id, newClock().Now(), 0)
	if err := s.RemoveDeadLetters(context.Background(), id); err != nil {
		t.Fatal(err)
	}
	fail(t, s, id, newClock().Now(), 0)
	mustRemove(t, s, id)
	if s.Stats().DeadLetters != 1 || !bytes.Equal(deadContentOf(t, s, id), bodyOf(10)) {
		t.Errorf("stats %+v", s.Stats())
	}
}

func TestQuarantineTakesTheDeadLetterWithIt(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, memory(t))
	id := mustPut(t, s, bodyOf(smallBody+1))
	e := fail(t, s, id, newClock().Now(), 0)
	e.Damaged = true
	if err := errors.Join(s.Update(context.Background(), e), s.Quarantine(context.Background(), e)); err != nil {
		t.Fatal(err)
	}
	if stats := s.Stats(); stats.DeadLetters != 0 || stats.DeadBytes != 0 || stats.Quarantined != 1 || len(deadLettersIn(t, s)) != 0 {
		t.Errorf("stats %+v", stats)
	}
}

func TestDamagedOrDeliveredMessageIsNoDeadLetter(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, memory(t))
	for _, change := range []func(*Envelope){
		func(e *Envelope) { e.Recipients[0].Outcome = Delivered },
		func(e *Envelope) { e.Recipients[0].Outcome, e.Damaged = Bounced, true },
		func(e *Envelope) { e.Attempts = 3 },
	} {
		e, err := s.Envelope(mustPut(t, s, bodyOf(10)))
		if err != nil {
			t.Fatal(err)
		}
		change(e)
		if err := s.Update(context.Background(), e); err != nil {
			t.Fatal(err)
		}
		if s.Stats().DeadLetters != 0 {
			t.Errorf("%+v is a dead letter", e)
		}
	}
}

// TestSpoolOfAnEarlierVersionOpens writes records as they were before there were dead letters
// and parameters of notifications.
func TestSpoolOfAnEarlierVersionOpens(t *testing.T) {
	t.Parallel()
	disk := memory(t)
	s := mustOpen(t, disk)
	const id = "01m86ga1zzkeytzb4j00"
	const envelope = `{"id":"01m86ga1zzkeytzb4j00","accepted":"2030-01-02T03:04:05Z","user":"web.shop","reversePath":"shop@example.org",` +
		`"recipients":[{"address":"a@example.net","outcome":"bounced","reply":"550 no","outcomeTime":"2030-01-02T03:05:05Z"},{"address":"b@example.net"}],` +
		`"messageID":"<1@example.org>","size":5,"attempts":2,"nextAttempt":"2030-01-02T03:10:05Z"}`
	head := "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x05" + "\x9a\x71\xbb\x4c" // version, flags, size, CRC-32C of "hello"
	batch := s.db.NewBatch()
	if err := errors.Join(batch.Set(key(envelopeKey, id), []byte(head+envelope), nil), batch.Set(key(bodyKey, id), []byte("hello"), nil), s.apply(batch), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, disk)
	e, err := s.Envelope(id)
	if err != nil {
		t.Fatal(err)
	}
	if string(contentOf(t, s, id)) != "hello" || e.Attempts != 2 || !e.Recipients[1].Notify.Wants(NotifyFailure) || e.Recipients[1].Notify.Wants(NotifySuccess) {
		t.Errorf("envelope %+v", e)
	}
	if stats := s.Stats(); stats.Messages != 1 || stats.DeadLetters != 0 {
		t.Errorf("stats %+v", stats)
	}
	fail(t, s, id, newClock().Now(), 1)
	mustRemove(t, s, id)
	if string(deadContentOf(t, s, id)) != "hello" || s.Stats().DeadLetters != 1 {
		t.Errorf("stats %+v", s.Stats())
	}
}
