package spool

import (
	"bytes"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// ledger is what the callers of a store were promised.
type ledger struct {
	mu       sync.Mutex
	started  map[string]int    // sizes of drafts, by id
	acked    map[string]int    // sizes of messages whose Commit returned nil
	bounceOf map[string]string // bounce to the message that its Commit finished
	removing map[string]bool
	removed  map[string]bool
}

func newLedger() *ledger {
	return &ledger{
		started: map[string]int{}, acked: map[string]int{}, bounceOf: map[string]string{},
		removing: map[string]bool{}, removed: map[string]bool{},
	}
}

func (l *ledger) note(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// snapshot copies the ledger.
func (l *ledger) snapshot() *ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &ledger{
		started: maps.Clone(l.started), acked: maps.Clone(l.acked), bounceOf: maps.Clone(l.bounceOf),
		removing: maps.Clone(l.removing), removed: maps.Clone(l.removed),
	}
}

// send commits a message of n bytes, and with it the end of the message bounced, if any.
func (l *ledger) send(s *Store, n int, bounced string) (string, error) {
	d, err := s.Create(context.Background())
	if err != nil {
		return "", err
	}
	defer d.Abort()
	var others []*Envelope
	l.note(func() { l.started[d.ID()] = n })
	if bounced != "" {
		e, err := s.Envelope(bounced)
		if err != nil {
			return "", err
		}
		e.Recipients[0].Outcome = Bounced
		others = append(others, e)
		l.note(func() { l.bounceOf[d.ID()] = bounced })
	}
	if _, err := d.Write(bodyOf(n)); err != nil {
		return "", err
	}
	if err := d.Commit(context.Background(), envelopeTo("bob@example.net"), others...); err != nil {
		return "", err
	}
	l.note(func() { l.acked[d.ID()] = n })
	return d.ID(), nil
}

func (l *ledger) remove(s *Store, id string) error {
	l.note(func() { l.removing[id] = true })
	if err := s.Remove(context.Background(), id); err != nil {
		return err
	}
	l.note(func() { l.removed[id] = true })
	return nil
}

// work sends, bounces and removes messages until something fails.
func (l *ledger) work(s *Store, rounds int) error {
	for i := range rounds {
		small, err := l.send(s, 100+i, "")
		if err != nil {
			return err
		}
		large, err := l.send(s, smallBody+1000+i, "")
		if err != nil {
			return err
		}
		if _, err := l.send(s, 200+i, small); err != nil {
			return err
		}
		if i%4 == 1 {
			if err := l.remove(s, small); err != nil {
				return err
			}
		}
		if i%3 == 2 {
			if err := s.guard(s.db.Flush); err != nil {
				return err
			}
		}
		if i%2 == 0 {
			if err := l.remove(s, large); err != nil {
				return err
			}
		}
	}
	return nil
}

// check compares a store with what was promised before the crash (l) and what had been
// asked of the store by then (later).
func (l *ledger) check(t *testing.T, s *Store, later *ledger) {
	t.Helper()
	found := make(map[string]*Envelope)
	if err := s.Each(func(e *Envelope) error { found[e.ID] = e; return nil }); err != nil {
		t.Fatal(err)
	}
	for id := range l.acked {
		if found[id] == nil && !later.removing[id] {
			t.Errorf("accepted message %s is lost", id)
		}
	}
	for id := range found {
		if l.removed[id] {
			t.Errorf("removed message %s is back", id)
		}
		if !bytes.Equal(contentOf(t, s, id), bodyOf(later.started[id])) {
			t.Errorf("content of %s differs", id)
		}
	}
	for bounce, original := range later.bounceOf {
		if e := found[original]; e != nil && e.Done() != (found[bounce] != nil) {
			t.Errorf("message %s done: %v, its bounce there: %v", original, e.Done(), found[bounce] != nil)
		}
	}
	dead := l.checkDeadLetters(t, s, found, later)
	if stats := s.Stats(); stats.Messages != int64(len(found)) || stats.Quarantined != 0 || stats.DeadLetters != int64(dead) {
		t.Errorf("stats %+v with %d messages and %d dead letters", stats, len(found), dead)
	}
	checkFiles(t, s)
}

// checkDeadLetters wants one of each message whose bounce is there, and no other. It returns
// how many there are.
func (l *ledger) checkDeadLetters(t *testing.T, s *Store, found map[string]*Envelope, later *ledger) int {
	t.Helper()
	dead := deadLettersIn(t, s)
	bounced := make(map[string]bool)
	for bounce, original := range later.bounceOf {
		if found[bounce] != nil {
			bounced[original] = true
		}
	}
	for id := range bounced {
		if dead[id] == nil || !bytes.Equal(deadContentOf(t, s, id), bodyOf(later.started[id])) {
			t.Errorf("the bounced message %s is no whole dead letter", id)
		}
	}
	for id := range dead {
		if !bounced[id] {
			t.Errorf("%s is a dead letter without a bounce", id)
		}
	}
	return len(dead)
}

// checkFiles finds files that belong to no message.
func checkFiles(t *testing.T, s *Store) {
	t.Helper()
	names, err := s.layout.fs.List(s.layout.bodies)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, err := s.Envelope(name); err != nil {
			t.Errorf("file %s: %v", name, err)
		}
	}
}

// crash is a state of the disk that a power cut could have left.
type crash struct {
	disk          *vfs.MemFS
	before, after *ledger
}

// TestPowerCutLosesNothingAccepted cuts the power before every single operation on the disk,
// with none, half or all of the unsynced data reaching it.
func TestPowerCutLosesNothingAccepted(t *testing.T) {
	t.Parallel()
	for _, percent := range []int{0, 50, 100} {
		t.Run(map[int]string{0: "none", 50: "half", 100: "all"}[percent], func(t *testing.T) {
			t.Parallel()
			crashes := collectCrashes(t, percent, 1)
			if len(crashes) < 100 {
				t.Fatalf("only %d crashes", len(crashes))
			}
			t.Logf("the power was cut %d times", len(crashes))
			for _, c := range crashes {
				s := mustOpen(t, c.disk)
				c.before.check(t, s, c.after)
				if _, err := put(s, bodyOf(smallBody+1)); err != nil {
					t.Errorf("after the crash: %v", err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestPowerCutUnderConcurrentWriters does so while several writers share commits.
func TestPowerCutUnderConcurrentWriters(t *testing.T) {
	t.Parallel()
	crashes := collectCrashes(t, 50, 8)
	t.Logf("the power was cut %d times", len(crashes))
	for _, c := range crashes {
		s := mustOpen(t, c.disk)
		c.before.check(t, s, c.after)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func collectCrashes(t *testing.T, percent, writers int) []crash {
	t.Helper()
	const rounds = 8
	disk := memory(t)
	book := newLedger()
	rng := rand.New(rand.NewPCG(1, uint64(percent)))
	var mu sync.Mutex
	var crashes []crash
	operations := 0
	hook := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if operations++; operations%(writers*writers) == 0 {
			before := book.snapshot()
			clone := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
			crashes = append(crashes, crash{clone, before, book.snapshot()})
		}
		return nil
	})
	s := mustOpen(t, errorfs.Wrap(disk, hook))
	errs := make(chan error, writers)
	for range writers {
		go func() { errs <- book.work(s, rounds) }()
	}
	for range writers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(crashes)
}
