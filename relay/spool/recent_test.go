package spool

import (
	"context"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

func TestRecentMessagesAreNotReadBack(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, memory(t))
	id := mustPut(t, s, bodyOf(100))
	if err := errors.Join(s.db.Delete(key(envelopeKey, id), pebble.Sync), s.db.Delete(key(bodyKey, id), pebble.Sync)); err != nil {
		t.Fatal(err)
	}
	if e, err := s.Envelope(id); err != nil || e.ID != id || e.Size != 100 {
		t.Errorf("%+v, %v", e, err)
	}
	if got := contentOf(t, s, id); string(got) != string(bodyOf(100)) {
		t.Error("the content differs")
	}
}

func TestRecentMessagesAreBounded(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, memory(t))
	first := mustPut(t, s, bodyOf(smallBody))
	for range recentBytes / smallBody {
		mustPut(t, s, bodyOf(smallBody))
	}
	if s.recent.bytes > recentBytes || s.recent.bytes < recentBytes-2*smallBody || s.recent.get(first) != nil {
		t.Errorf("%d bytes of %d are kept, the oldest among them: %v", s.recent.bytes, recentBytes, s.recent.get(first) != nil)
	}
	if got := contentOf(t, s, first); string(got) != string(bodyOf(smallBody)) {
		t.Error("the content of the oldest differs")
	}
}

func TestWhatWasReadOfARecentMessageDoesNotChangeIt(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, memory(t))
	d, err := s.Create(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	own := envelopeTo("bob@example.net")
	if err := d.Commit(context.Background(), own); err != nil {
		t.Fatal(err)
	}
	own.Recipients[0].Outcome = Bounced
	e, err := s.Envelope(d.ID())
	if err != nil {
		t.Fatal(err)
	}
	e.Recipients[0].Outcome = Bounced
	if again, err := s.Envelope(d.ID()); err != nil || again.Done() {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestWhatChangedOrWentIsNotRecent(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, memory(t))
	for name, do := range map[string]func(e *Envelope) error{
		"update":     func(e *Envelope) error { return s.Update(t.Context(), e) },
		"commit":     func(e *Envelope) error { _, err := put(s, nil, e); return err },
		"remove":     func(e *Envelope) error { return s.Remove(t.Context(), e.ID) },
		"quarantine": func(e *Envelope) error { return s.Quarantine(t.Context(), e) },
	} {
		e, err := s.Envelope(mustPut(t, s, bodyOf(10)))
		if err != nil {
			t.Fatal(err)
		}
		if err := do(e); err != nil {
			t.Fatal(err)
		}
		if s.recent.get(e.ID) != nil {
			t.Errorf("after %s the message as it was is kept", name)
		}
	}
}
