package spool

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

const testLow = 64 << 10

func withSpace(c *clock) func(*Options) {
	return func(o *Options) { o.Now, o.LowSpace = c.Now, testLow }
}

func setFree(disk *vfs.MemFS, free uint64) {
	disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: free, TotalBytes: 1 << 30})
}

func TestLowSpaceRefusesNewMailOnly(t *testing.T) {
	t.Parallel()
	c, disk := newClock(), memory(t)
	setFree(disk, 1<<20)
	s := mustOpen(t, disk, withSpace(c))
	id := mustPut(t, s, bodyOf(10))
	setFree(disk, testLow-1)
	mustPut(t, s, bodyOf(10)) // the last look at the disk is not a second old
	c.Advance(spaceMaxAge)
	if _, err := s.Create(context.Background()); !errors.Is(err, ErrLowSpace) {
		t.Fatalf("create: %v, want ErrLowSpace", err)
	}
	if got := s.Stats().FreeBytes; got != testLow-1 {
		t.Errorf("free bytes %d", got)
	}
	e, err := s.Envelope(id)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Update(context.Background(), e); err != nil {
		t.Errorf("update: %v", err)
	}
	if err := s.Remove(context.Background(), id); err != nil {
		t.Errorf("remove: %v", err)
	}
	s.SetLowSpace(testLow / 2)
	mustPut(t, s, bodyOf(10))
	s.SetLowSpace(testLow)
	setFree(disk, 1<<20)
	c.Advance(spaceMaxAge)
	mustPut(t, s, bodyOf(10))
}

func TestLowSpaceIsMetInTheMiddleOfAMessage(t *testing.T) {
	t.Parallel()
	c, disk := newClock(), memory(t)
	setFree(disk, 4*testLow)
	s := mustOpen(t, disk, withSpace(c))
	d, err := s.Create(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	// The clock stands still: what the draft writes must count.
	for range 10 {
		if _, err = d.Write(bodyOf(smallBody)); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrLowSpace) {
		t.Fatalf("write: %v, want ErrLowSpace", err)
	}
	if err := d.Commit(context.Background(), envelopeTo("a@example.org")); !errors.Is(err, ErrLowSpace) {
		t.Errorf("commit: %v, want ErrLowSpace", err)
	}
	if names, _ := disk.List(s.layout.bodies); len(names) > 0 {
		t.Errorf("files left: %v", names)
	}
}

// fullDisk refuses writes of the database until the reserve was removed.
type fullDisk struct{ full atomic.Bool }

func (f *fullDisk) String() string { return "full disk" }

func (f *fullDisk) MaybeError(op errorfs.Op) error {
	switch {
	case op.Kind == errorfs.OpRemove && strings.HasSuffix(op.Path, "reserve"):
		f.full.Store(false)
	case op.Kind == errorfs.OpFileWrite && f.full.Load():
		return syscall.ENOSPC
	}
	return nil
}

func TestReserveLetsOutcomesBeWrittenOnAFullDisk(t *testing.T) {
	t.Parallel()
	c, disk, fault := newClock(), memory(t), new(fullDisk)
	setFree(disk, 1<<20)
	s := mustOpen(t, errorfs.Wrap(disk, fault), withSpace(c))
	id := mustPut(t, s, bodyOf(10))
	if info, err := disk.Stat(s.layout.reserve); err != nil || info.Size() != testLow/4 {
		t.Fatalf("reserve: %v, %v", info, err)
	}
	e, err := s.Envelope(id)
	if err != nil {
		t.Fatal(err)
	}
	fault.full.Store(true)
	e.Recipients[0].Outcome = Delivered
	if err := s.Update(context.Background(), e); err != nil {
		t.Fatalf("update on a full disk: %v", err)
	}
	if _, err := s.Create(context.Background()); !errors.Is(err, ErrLowSpace) {
		t.Errorf("create without a reserve: %v, want ErrLowSpace", err)
	}
	// The disk has room again: the reserve comes back, and new mail after it.
	c.Advance(spaceMaxAge)
	mustPut(t, s, bodyOf(10))
	if _, err := disk.Stat(s.layout.reserve); err != nil {
		t.Errorf("reserve: %v", err)
	}
}

func TestOutcomesAreWrittenOnALowDisk(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"small": 10, "large": largeBody} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, disk, fault := newClock(), memory(t), new(fullDisk)
			setFree(disk, 1<<20)
			s := mustOpen(t, errorfs.Wrap(disk, fault), withSpace(c))
			id := mustPut(t, s, bodyOf(10))
			setFree(disk, testLow-1)
			c.Advance(spaceMaxAge)
			for _, full := range []bool{false, true} {
				fault.full.Store(full)
				outcome := mustPutOutcome(t, s, id, bodyOf(size))
				if got := contentOf(t, s, outcome); len(got) != size {
					t.Errorf("%d bytes, want %d", len(got), size)
				}
				if _, err := s.Create(t.Context()); !errors.Is(err, ErrLowSpace) {
					t.Errorf("create: %v, want ErrLowSpace", err)
				}
			}
		})
	}
}

// mustPutOutcome commits a message that tells of another one's outcome.
func mustPutOutcome(t *testing.T, s *Store, of string, body []byte) string {
	t.Helper()
	told, err := s.Envelope(of)
	if err != nil {
		t.Fatal(err)
	}
	told.Recipients[0].Outcome = Bounced
	d, err := s.CreateOutcome(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := d.Commit(t.Context(), envelopeTo("a@example.org"), told); err != nil {
		t.Fatal(err)
	}
	return d.ID()
}

func TestFailedSyncOfTheReserveStopsTheStore(t *testing.T) {
	t.Parallel()
	broken := errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSync && strings.HasSuffix(op.Path, "reserve") {
			return syscall.EIO
		}
		return nil
	})}
	c, disk := newClock(), memory(t)
	setFree(disk, testLow)
	s := mustOpen(t, errorfs.Wrap(disk, &broken), withSpace(c))
	broken.On()
	setFree(disk, 1<<20)
	c.Advance(spaceMaxAge)
	if _, err := s.Create(t.Context()); err == nil {
		t.Error("a message was accepted")
	}
	if !errors.Is(s.Err(), syscall.EIO) {
		t.Errorf("the store goes on: %v", s.Err())
	}
}

func TestReserveIsFoundAgainOnALowDisk(t *testing.T) {
	t.Parallel()
	c, disk := newClock(), memory(t)
	setFree(disk, 1<<20)
	s := mustOpen(t, disk, withSpace(c))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	setFree(disk, testLow+1)
	mustPut(t, mustOpen(t, disk, withSpace(c)), bodyOf(10))
}

func TestClockThatJumpsBackIsNoStaleLook(t *testing.T) {
	t.Parallel()
	c, disk := newClock(), memory(t)
	setFree(disk, 1<<20)
	s := mustOpen(t, disk, withSpace(c))
	setFree(disk, 1)
	c.Advance(-24 * time.Hour)
	if _, err := s.Create(context.Background()); !errors.Is(err, ErrLowSpace) {
		t.Errorf("create: %v, want ErrLowSpace", err)
	}
}

func TestFreeSpaceOfARealDiskIsKnown(t *testing.T) {
	t.Parallel()
	s, err := Open(Options{Directory: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := s.Stats().FreeBytes; got <= 0 {
		t.Errorf("free bytes %d", got)
	}
}
