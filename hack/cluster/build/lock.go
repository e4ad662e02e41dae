package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// exclusive runs work while nothing else builds into the cache. The second of
// two builds then finds what the first has made, instead of compiling it at the
// same time and taking away the files of the other. The kernel drops the lock
// with the process.
func (b Builder) exclusive(ctx context.Context, work func() error) error {
	if err := os.MkdirAll(b.Layout.Cache, 0o755); err != nil {
		return fmt.Errorf("make the cache: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(b.Layout.Cache, "lock"), os.O_CREATE|os.O_RDONLY, 0o644)
	if err != nil {
		return fmt.Errorf("lock the cache: %w", err)
	}
	defer file.Close()
	const poll = 100 * time.Millisecond
	for said := false; ; said = true {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return work()
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("lock the cache: %w", err)
		}
		if !said {
			b.Say("waiting for another build to end")
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for another build: %w", ctx.Err())
		case <-time.After(poll):
		}
	}
}
