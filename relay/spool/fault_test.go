package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// faultAt makes one write operation of the disk fail: the one of that number, from zero.
type faultAt struct {
	number int64
	err    error
	seen   atomic.Int64
	hit    atomic.Pointer[errorfs.Op]
}

func (f *faultAt) String() string { return fmt.Sprintf("%v at operation %d", f.err, f.number) }

func (f *faultAt) MaybeError(op errorfs.Op) error {
	// A failed close or unlink says nothing of the data.
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpFileClose || op.Kind == errorfs.OpLock {
		return nil
	}
	if f.seen.Add(1)-1 != f.number {
		return nil
	}
	f.hit.Store(&op)
	return f.err
}

// TestNoFaultOfTheDiskLosesAcceptedMail lets every single write operation fail in turn,
// then cuts the power and opens what is left on a sound disk.
func TestNoFaultOfTheDiskLosesAcceptedMail(t *testing.T) {
	t.Parallel()
	for _, fault := range []error{syscall.EIO, syscall.ENOSPC} {
		t.Run(fault.Error(), func(t *testing.T) {
			t.Parallel()
			n := int64(0)
			for oneFault(t, &faultAt{number: n, err: fault}) {
				n++
			}
			t.Logf("%d operations failed, one at a time", n)
		})
	}
}

// oneFault reports whether the fault was met.
func oneFault(t *testing.T, fault *faultAt) bool {
	t.Helper()
	disk := memory(t)
	book := newLedger()
	s, err := Open(Options{Directory: testDir, FS: errorfs.Wrap(disk, fault), Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		workErr := book.work(s, 3)
		if s.Err() == nil && workErr != nil {
			if _, err := put(s, bodyOf(10)); err != nil {
				t.Errorf("%v: a store that did not fail refuses the next message: %v", fault, err)
			}
		}
		checkFailure(t, s, fault, workErr)
	}
	before := book.snapshot()
	recovered := mustOpen(t, disk.CrashClone(vfs.CrashCloneCfg{}))
	// Messages of the put above are not in the book: look at the book's only.
	for id := range before.acked {
		if _, err := recovered.Envelope(id); err != nil && !before.removing[id] {
			t.Errorf("%v hit %+v: accepted message %s: %v", fault, *fault.hit.Load(), id, err)
		}
	}
	if q := recovered.Stats().Quarantined; q != 0 {
		t.Errorf("%v: %d messages in quarantine", fault, q)
	}
	_ = recovered.Close()
	return fault.hit.Load() != nil
}

// checkFailure asserts that an fsync error stops the store and a full disk for a body does not.
func checkFailure(t *testing.T, s *Store, fault *faultAt, workErr error) {
	t.Helper()
	op := fault.hit.Load()
	if op == nil {
		return
	}
	body := strings.Contains(op.Path, "bodies")
	sync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData
	switch {
	case errors.Is(fault.err, syscall.EIO) && sync && s.Err() == nil:
		t.Errorf("EIO at %+v did not stop the store (%v)", *op, workErr)
	case errors.Is(fault.err, syscall.ENOSPC) && body && op.Kind != errorfs.OpRemove:
		if s.Err() != nil || !errors.Is(workErr, ErrLowSpace) {
			t.Errorf("ENOSPC at %+v: store %v, work %v, want ErrLowSpace only", *op, s.Err(), workErr)
		}
	}
}

// TestFailedStoreRefusesEverythingAtOnce asserts that no call hangs on a dead database.
func TestFailedStoreRefusesEverythingAtOnce(t *testing.T) {
	t.Parallel()
	broken := errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData {
			return syscall.EIO
		}
		return nil
	})}
	s := mustOpen(t, errorfs.Wrap(memory(t), &broken))
	id := mustPut(t, s, bodyOf(10))
	broken.On()
	const writers = 16
	errs := make(chan error, writers)
	for range writers {
		go func() { _, err := put(s, bodyOf(100)); errs <- err }()
	}
	for range writers {
		select {
		case err := <-errs:
			if err == nil {
				t.Error("a message was accepted without fsync")
			}
		case <-time.After(10 * time.Second):
			t.Fatal("a commit hangs")
		}
	}
	select {
	case <-s.Failed():
	default:
		t.Fatal("Failed is not closed")
	}
	if !errors.Is(s.Err(), syscall.EIO) {
		t.Errorf("Err: %v, want EIO in it", s.Err())
	}
	if _, err := s.Create(context.Background()); !errors.Is(err, syscall.EIO) {
		t.Errorf("create: %v", err)
	}
	if err := s.Remove(context.Background(), id); err == nil {
		t.Error("remove was accepted")
	}
	if err := s.Close(); err == nil {
		t.Error("close reports no failure")
	}
}
