package spool

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// overwrite replaces a file as a failing disk or a careless hand would.
func overwrite(t *testing.T, fsys vfs.FS, name string, data []byte) {
	t.Helper()
	if err := writeFile(fsys, name, data); err != nil {
		t.Fatal(err)
	}
}

func flipped(data []byte, at int) []byte {
	changed := append([]byte(nil), data...)
	changed[at] ^= 1
	return changed
}

const largeBody = 2*smallBody + 5

// damages are what can happen to the file of a message.
var damages = map[string]func(fsys vfs.FS, name string) error{
	"missing": func(fsys vfs.FS, name string) error { return fsys.Remove(name) },
	"truncated": func(fsys vfs.FS, name string) error {
		return writeFile(fsys, name, bodyOf(largeBody)[:smallBody])
	},
	"longer": func(fsys vfs.FS, name string) error {
		return writeFile(fsys, name, append(bodyOf(largeBody), 0))
	},
	"a bit flipped": func(fsys vfs.FS, name string) error {
		return writeFile(fsys, name, flipped(bodyOf(largeBody), largeBody-1))
	},
}

func TestDamagedMessageStaysUntilItIsQuarantined(t *testing.T) {
	t.Parallel()
	for name, damage := range damages {
		for _, reopened := range []bool{false, true} {
			t.Run(map[bool]string{false: name + " while open", true: name + " while closed"}[reopened], func(t *testing.T) {
				t.Parallel()
				fsys := memory(t)
				s := mustOpen(t, fsys)
				id, sound := mustPut(t, s, bodyOf(largeBody)), mustPut(t, s, bodyOf(largeBody))
				if err := damage(fsys, s.layout.body(id)); err != nil {
					t.Fatal(err)
				}
				if reopened {
					s = reopen(t, s, fsys)
				}
				if _, err := s.Open(id); !errors.Is(err, ErrDamaged) {
					t.Errorf("open: %v, want ErrDamaged", err)
				}
				if stats := s.Stats(); stats.Messages != 2 || stats.Quarantined != 0 {
					t.Errorf("stats %+v: the sender is not told yet", stats)
				}
				e, err := s.Envelope(id)
				if err != nil {
					t.Fatal(err)
				}
				e.Recipients[0].Outcome = Bounced
				if err := s.Quarantine(t.Context(), e); err != nil {
					t.Fatal(err)
				}
				assertQuarantined(t, s, id, sound)
				if _, err := fsys.Stat(s.layout.quarantined(id)); err != nil && name != "missing" {
					t.Errorf("the file was not kept: %v", err)
				}
				if err := s.Quarantine(t.Context(), e); !errors.Is(err, ErrNotFound) {
					t.Errorf("quarantined again: %v, want ErrNotFound", err)
				}
				assertQuarantined(t, reopen(t, s, fsys), id, sound)
			})
		}
	}
}

func reopen(t *testing.T, s *Store, fsys vfs.FS) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return mustOpen(t, fsys)
}

// assertQuarantined finds the one message kept but out of the queue, the other untouched.
func assertQuarantined(t *testing.T, s *Store, id, sound string) {
	t.Helper()
	if stats := s.Stats(); stats.Quarantined != 1 || stats.Messages != 1 || stats.Bytes != largeBody {
		t.Errorf("stats %+v", stats)
	}
	if got := idsIn(t, s); len(got) != 1 || got[0] != sound {
		t.Errorf("queue %v, want %s only", got, sound)
	}
	if _, err := s.Envelope(id); !errors.Is(err, ErrNotFound) {
		t.Errorf("envelope: %v, want ErrNotFound", err)
	}
	record, err := s.get(quarantineKey, id)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := decodeEnvelope(record); err != nil || e.ID != id || e.User != "web.shop" || !e.Done() {
		t.Errorf("the envelope was not kept: %+v, %v", e, err)
	}
	contentOf(t, s, sound)
}

func TestDamagedRecordIsQuarantined(t *testing.T) {
	t.Parallel()
	good, err := encodeRecord(content{size: 5}, envelopeTo("bob@example.net"))
	if err != nil {
		t.Fatal(err)
	}
	for name, record := range map[string][]byte{
		"empty":           nil,
		"unknown version": append([]byte{99}, good[1:]...),
		"broken JSON":     good[:len(good)-3],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fsys := memory(t)
			s := mustOpen(t, fsys)
			id := newID(s.now())
			if err := s.db.Set(key(envelopeKey, id), record, pebble.Sync); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, fsys)
			if got := idsIn(t, s); len(got) != 0 {
				t.Errorf("queue %v", got)
			}
			if stats := s.Stats(); stats.Quarantined != 1 || stats.Messages != 0 || stats.Bytes != 0 {
				t.Errorf("stats %+v", stats)
			}
		})
	}
}

func TestSmallContentIsChecked(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, memory(t))
	id := mustPut(t, s, bodyOf(100))
	if err := s.db.Set(key(bodyKey, id), flipped(bodyOf(100), 50), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	s.recent.drop(id) // as if it had been committed long ago
	if _, err := s.Open(id); !errors.Is(err, ErrDamaged) {
		t.Errorf("open: %v, want ErrDamaged", err)
	}
}

func TestQuarantineIsFinishedAfterACrash(t *testing.T) {
	t.Parallel()
	fsys := memory(t)
	s := mustOpen(t, fsys)
	id := mustPut(t, s, bodyOf(largeBody))
	record, err := s.record(id)
	if err != nil {
		t.Fatal(err)
	}
	// The record has moved, the file has not yet.
	if err := errors.Join(s.db.Set(key(quarantineKey, id), record, pebble.Sync),
		s.db.Delete(key(envelopeKey, id), pebble.Sync), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, fsys)
	if _, err := fsys.Stat(s.layout.quarantined(id)); err != nil {
		t.Errorf("the file was not moved: %v", err)
	}
}

func TestOrphanFilesAreRemovedAtTheStart(t *testing.T) {
	t.Parallel()
	fsys := memory(t)
	s := mustOpen(t, fsys)
	kept := mustPut(t, s, bodyOf(largeBody))
	d, _ := s.Create(context.Background())
	if _, err := d.Write(bodyOf(largeBody)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := fsys.Stat(s.layout.body(d.ID())); err != nil {
		t.Fatalf("the test needs an orphan: %v", err)
	}
	s = mustOpen(t, fsys)
	if names, err := fsys.List(s.layout.bodies); err != nil || len(names) != 1 || names[0] != kept {
		t.Errorf("files %v, %v, want %s only", names, err, kept)
	}
}

func TestStartReadsNoContent(t *testing.T) {
	t.Parallel()
	fsys := memory(t)
	s := mustOpen(t, fsys)
	id := mustPut(t, s, bodyOf(largeBody))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	reads := readCounter{name: id}
	mustOpen(t, wrapReads(fsys, &reads))
	if n := reads.count.Load(); n != 0 {
		t.Errorf("the start opened the content %d times", n)
	}
}

// blind is a disk on which nothing about a content can be learnt.
type blind struct{}

func (blind) String() string { return "blind" }

func (blind) MaybeError(op errorfs.Op) error {
	if strings.Contains(op.Path, "bodies/") && op.Kind.ReadOrWrite() == errorfs.OpIsRead {
		return syscall.EIO
	}
	return nil
}

func TestDiskThatCannotBeReadDamagesNothing(t *testing.T) {
	t.Parallel()
	fsys := memory(t)
	s := mustOpen(t, fsys)
	id := mustPut(t, s, bodyOf(largeBody))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, errorfs.Wrap(fsys, blind{}))
	if _, err := s.Open(id); !errors.Is(err, syscall.EIO) || errors.Is(err, ErrDamaged) {
		t.Errorf("open: %v, want the error of the disk", err)
	}
	if stats := s.Stats(); stats.Messages != 1 || stats.Quarantined != 0 {
		t.Errorf("stats %+v", stats)
	}
	s = reopen(t, s, fsys)
	contentOf(t, s, id)
}

func TestReadOfTheDiskFailingIsNoDamage(t *testing.T) {
	t.Parallel()
	fsys := memory(t)
	reads := readCounter{fail: os.ErrDeadlineExceeded}
	s := mustOpen(t, wrapReads(fsys, &reads))
	id := mustPut(t, s, bodyOf(largeBody))
	reads.name = id
	if _, err := s.Open(id); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("open: %v", err)
	}
	if stats := s.Stats(); stats.Quarantined != 0 || stats.Messages != 1 {
		t.Errorf("stats %+v", stats)
	}
}
