package spool

import (
	"context"
	"fmt"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// BenchmarkCommit measures how fast messages are made durable on the disk of the temporary
// directory (TMPDIR), by the number of sessions that commit at the same time.
func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{4 << 10, 256 << 10} {
		for _, writers := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("size=%dKiB/writers=%d", size>>10, writers), func(b *testing.B) {
				s, err := Open(Options{Directory: b.TempDir(), FS: vfs.Default, Logger: slog.New(slog.DiscardHandler)})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				body := bodyOf(size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				inParallel(b, writers, func() error {
					_, err := put(s, body)
					return err
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			})
		}
	}
}

// BenchmarkCycle measures a message's whole way: committed, read, updated and removed.
func BenchmarkCycle(b *testing.B) {
	s, err := Open(Options{Directory: b.TempDir(), FS: vfs.Default, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	body := bodyOf(4 << 10)
	inParallel(b, 64, func() error { return cycle(s, body) })
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

func cycle(s *Store, body []byte) error {
	id, err := put(s, body)
	if err != nil {
		return err
	}
	envelope, err := s.Envelope(id)
	if err != nil {
		return err
	}
	content, err := s.Open(id)
	if err != nil {
		return err
	}
	if err := content.Close(); err != nil {
		return err
	}
	envelope.Attempts++
	if err := s.Update(context.Background(), envelope); err != nil {
		return err
	}
	return s.Remove(context.Background(), id)
}

// inParallel runs f b.N times on that many goroutines.
func inParallel(b *testing.B, goroutines int, f func() error) {
	b.Helper()
	work := make(chan struct{}, b.N)
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	b.ResetTimer()
	before := cpuTime()
	errs := make(chan error, goroutines)
	for range goroutines {
		go func() {
			var err error
			for range work {
				if err = f(); err != nil {
					break
				}
			}
			errs <- err
		}()
	}
	for range goroutines {
		if err := <-errs; err != nil {
			b.Error(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64((cpuTime()-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// BenchmarkPassage measures what a message costs that is delivered at once, by its size.
func BenchmarkPassage(b *testing.B) {
	for _, size := range []int{4 << 10, 32 << 10, 100 << 10, 200 << 10, 500 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("size=%dKiB", size>>10), func(b *testing.B) {
			s, err := Open(Options{Directory: b.TempDir(), FS: vfs.Default, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			body := bodyOf(size)
			inParallel(b, 20, func() error { return pass(s, body) })
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

func pass(s *Store, body []byte) error {
	id, err := put(s, body)
	if err != nil {
		return err
	}
	if _, err := s.Envelope(id); err != nil {
		return err
	}
	content, err := s.Open(id)
	if err != nil {
		return err
	}
	if err := content.Close(); err != nil {
		return err
	}
	return s.Remove(context.Background(), id)
}

// cpuTime is what this process used so far, on all processors. Unlike the rate it hardly
// depends on what else the machine does.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
