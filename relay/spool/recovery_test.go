package spool

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
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

// damages are what can happen to the file of a message, and whether it can be seen without
// reading the content.
var damages = map[string]struct {
	do      func(t *testing.T, fsys vfs.FS, name string)
	atStart bool
}{
	"missing": {func(t *testing.T, fsys vfs.FS, name string) {
		if err := fsys.Remove(name); err != nil {
			t.Fatal(err)
		}
	}, true},
	"truncated": {func(t *testing.T, fsys vfs.FS, name string) {
		overwrite(t, fsys, name, bodyOf(largeBody)[:smallBody])
	}, true},
	"longer": {func(t *testing.T, fsys vfs.FS, name string) {
		overwrite(t, fsys, name, append(bodyOf(largeBody), 0))
	}, true},
	"a bit flipped": {func(t *testing.T, fsys vfs.FS, name string) {
		overwrite(t, fsys, name, flipped(bodyOf(largeBody), largeBody-1))
	}, false},
}

func TestDamagedFileIsQuarantined(t *testing.T) {
	t.Parallel()
	for name, damage := range damages {
		for _, reopened := range []bool{false, true} {
			t.Run(map[bool]string{false: name + " while open", true: name + " while closed"}[reopened], func(t *testing.T) {
				t.Parallel()
				fsys := memory(t)
				s := mustOpen(t, fsys)
				id, sound := mustPut(t, s, bodyOf(largeBody)), mustPut(t, s, bodyOf(largeBody))
				damage.do(t, fsys, s.layout.body(id))
				wantErr := ErrDamaged
				if reopened {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					s = mustOpen(t, fsys)
					if damage.atStart {
						wantErr = ErrNotFound
					}
				}
				if _, err := s.Open(id); !errors.Is(err, wantErr) {
					t.Errorf("open: %v, want %v", err, wantErr)
				}
				assertQuarantined(t, s, id, sound)
				if _, err := fsys.Stat(s.layout.quarantined(id)); err != nil && name != "missing" {
					t.Errorf("the file was not kept: %v", err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				assertQuarantined(t, mustOpen(t, fsys), id, sound)
			})
		}
	}
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
	if e, err := decodeEnvelope(record); err != nil || e.ID != id || e.User != "web.shop" {
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
