package spool

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestDeadLettersGoAfterTheirTime(t *testing.T) {
	t.Parallel()
	const retention = 14 * 24 * time.Hour
	c := newClock()
	s := mustOpen(t, memory(t), func(o *Options) { o.Now, o.DeadLetterRetention = c.Now, retention })
	begin := c.Now()
	old := bury(t, s, 10, begin)
	late := bury(t, s, 10, begin.Add(5*24*time.Hour)) // it failed after days in the queue
	c.Advance(24 * time.Hour)
	young := bury(t, s, 10, c.Now())
	for _, step := range []struct {
		after time.Duration
		want  []string
	}{
		{retention, []string{old, late, young}},
		{retention + time.Millisecond, []string{late, young}},
		{retention + 24*time.Hour + time.Second, []string{late}},
		{retention + 5*24*time.Hour + time.Second, nil},
	} {
		c.Advance(begin.Add(step.after).Sub(c.Now()))
		if err := s.Sweep(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(deadLettersIn(t, s))); !slices.Equal(got, slices.Sorted(slices.Values(step.want))) {
			t.Errorf("after %s: %v, want %v", step.after, got, step.want)
		}
	}
	s.SetDeadLetterRetention(0)
	bury(t, s, 10, begin)
	if err := s.Sweep(context.Background()); err != nil || s.Stats().DeadLetters != 1 {
		t.Errorf("%v, %+v: without a retention they stay", err, s.Stats())
	}
}

func TestDeadLettersKeepToTheirShareOfTheDisk(t *testing.T) {
	t.Parallel()
	c, disk := newClock(), memory(t)
	var logs bytes.Buffer
	disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 20, TotalBytes: 1 << 20})
	s := mustOpen(t, disk, func(o *Options) { o.Now, o.Logger = c.Now, slog.New(slog.NewTextHandler(&logs, nil)) })
	var ids []string
	for range 30 {
		ids = append(ids, bury(t, s, 9<<10, c.Now()))
		c.Advance(time.Second)
	}
	if err := s.Sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	// A tenth of 1 MiB holds ten of them, with what each takes beside its content.
	if got := slices.Sorted(maps.Keys(deadLettersIn(t, s))); !slices.Equal(got, ids[20:]) {
		t.Errorf("%d are left, want the youngest ten", len(got))
	}
	if !bytes.Contains(logs.Bytes(), []byte("removed before their time")) || !bytes.Contains(logs.Bytes(), []byte("dead_letters=20")) {
		t.Errorf("log %s", logs.String())
	}
}

func TestManyDeadLettersGoInOneSweep(t *testing.T) {
	t.Parallel()
	c, disk := newClock(), memory(t)
	disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 20, TotalBytes: 1})
	s := mustOpen(t, disk, func(o *Options) { o.Now = c.Now })
	for range 2*sweepBatch + 10 {
		bury(t, s, 1, c.Now())
	}
	if err := s.Sweep(context.Background()); err != nil || s.Stats().DeadLetters != 0 || s.Stats().DeadBytes != 0 {
		t.Errorf("%v, stats %+v", err, s.Stats())
	}
}

func TestDeadLettersGoBeforeNewMailIsRefused(t *testing.T) {
	t.Parallel()
	c, disk := newClock(), memory(t)
	setFree(disk, 1<<20)
	s := mustOpen(t, disk, withSpace(c))
	var ids []string
	for range 10 {
		ids = append(ids, bury(t, s, 9<<10, c.Now()))
		c.Advance(time.Second)
	}
	// Less than thirty kilobytes are missing to twice the mark.
	setFree(disk, 2*testLow-28<<10)
	c.Advance(spaceMaxAge)
	mustPut(t, s, bodyOf(10))
	if got := s.Stats().DeadLetters; got != 10 {
		t.Fatalf("%d dead letters: none has to go while mail is taken, before a sweep", got)
	}
	if err := s.Sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(deadLettersIn(t, s))); !slices.Equal(got, ids[3:]) {
		t.Errorf("%d are left, want the youngest seven", len(got))
	}
	// The file system shows the room only after a while.
	if err := s.Sweep(context.Background()); err != nil || s.Stats().DeadLetters != 7 {
		t.Errorf("%v, %d are left right after", err, s.Stats().DeadLetters)
	}
	// Below the mark it does not wait for a sweep.
	c.Advance(sweepPause)
	setFree(disk, testLow-1)
	c.Advance(spaceMaxAge)
	if _, err := s.Create(context.Background()); !errors.Is(err, ErrLowSpace) {
		t.Errorf("create: %v, the disk is still low", err)
	}
	if got := s.Stats().DeadLetters; got != 0 {
		t.Errorf("%d dead letters are left while mail is refused", got)
	}
}

func TestMailIsTakenWhereDeadLettersMadeRoom(t *testing.T) {
	t.Parallel()
	c, disk := newClock(), memory(t)
	setFree(disk, 1<<20)
	s := mustOpen(t, roomy{disk, func() { setFree(disk, 1<<20) }}, withSpace(c))
	bury(t, s, smallBody+1, c.Now())
	setFree(disk, testLow-1)
	c.Advance(spaceMaxAge)
	if _, err := put(s, bodyOf(10)); err != nil {
		t.Errorf("%v: the dead letter's room was enough", err)
	}
}

// roomy is a disk that has room once a body is removed.
type roomy struct {
	vfs.FS
	removed func()
}

func (r roomy) Remove(name string) error {
	if r.PathBase(r.PathDir(name)) == "bodies" {
		r.removed()
	}
	return r.FS.Remove(name)
}

func (r roomy) Unwrap() vfs.FS { return r.FS }

// TestRemovedDeadLettersFreeTheDisk looks at a real one: what is deleted from the database
// stays in its files until these are rewritten.
func TestRemovedDeadLettersFreeTheDisk(t *testing.T) {
	t.Parallel()
	c, dir := newClock(), t.TempDir()
	s := mustOpen(t, vfs.Default, func(o *Options) { o.Directory, o.Now, o.LowSpace = dir, c.Now, 1<<60 })
	s.SetLowSpace(0)
	for range 1000 {
		bury(t, s, 20<<10, c.Now())
	}
	before := bytesIn(t, s)
	s.SetLowSpace(1 << 60)
	if err := s.Sweep(context.Background()); err != nil || s.Stats().DeadLetters != 0 {
		t.Fatalf("%v, stats %+v", err, s.Stats())
	}
	for deadline := time.Now().Add(20 * time.Second); bytesIn(t, s) > before-(15<<20); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes, before %d", bytesIn(t, s), before)
		}
	}
}

// bytesIn is the size of the database's tables.
func bytesIn(t testing.TB, s *Store) int64 {
	t.Helper()
	names, err := s.layout.fs.List(s.layout.queue)
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, name := range names {
		if info, err := s.layout.fs.Stat(s.layout.fs.PathJoin(s.layout.queue, name)); err == nil {
			sum += info.Size()
		}
	}
	return sum
}
