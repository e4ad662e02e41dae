package spool

import (
	"bytes"
	"context"
	"testing"
)

// write begins a message with n bytes of content.
func write(t *testing.T, s *Store, n int) Draft {
	t.Helper()
	d, err := s.Create(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(bodyOf(n)); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDraftsHoldNoMoreInMemoryThanTheyMayTogether(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, memory(t))
	s.buffered.Store(maxBuffered - chunkSize)
	last, over := write(t, s, 2*chunkSize), write(t, s, 2*chunkSize)
	if got := s.buffered.Load(); got != maxBuffered {
		t.Errorf("%d bytes are held, want %d", got, maxBuffered)
	}
	for d, wantFile := range map[Draft]bool{last: false, over: true} {
		if err := d.Commit(context.Background(), envelopeTo("bob@example.net")); err != nil {
			t.Fatal(err)
		}
		if c, err := s.content(d.ID()); err != nil || c.inFile != wantFile {
			t.Errorf("in a file: %v, %v, want %v", c.inFile, err, wantFile)
		}
		if !bytes.Equal(contentOf(t, s, d.ID()), bodyOf(2*chunkSize)) {
			t.Error("the content differs")
		}
	}
	if got := s.buffered.Load(); got != maxBuffered-chunkSize {
		t.Errorf("%d bytes too many are counted", got-maxBuffered+chunkSize)
	}
}

func TestEndedDraftsHoldNothingInMemory(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, memory(t))
	for _, n := range bodySizes {
		write(t, s, n).Abort()
		if err := write(t, s, n).Commit(context.Background(), envelopeTo("bob@example.net")); err != nil {
			t.Fatal(err)
		}
		if got := s.buffered.Load(); got != 0 {
			t.Errorf("after drafts of %d bytes %d are counted", n, got)
		}
	}
	d := write(t, s, 10*smallBody)
	if got := s.buffered.Load(); got != 0 {
		t.Errorf("a draft in a file holds %d bytes", got)
	}
	d.Abort()
}
