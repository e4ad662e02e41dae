package spool

import (
	"io"
	"sync"
	"sync/atomic"
)

const (
	// chunkSize is the unit of what drafts hold in memory.
	chunkSize = 32 << 10
	// maxBuffered bounds what all drafts hold in memory besides one chunk each.
	maxBuffered = 64 << 20
)

type chunk [chunkSize]byte

var chunks = sync.Pool{New: func() any { return new(chunk) }}

// buffer is what a draft holds in memory.
type buffer struct {
	chunks []*chunk
	filled int
	// shared counts the bytes of all buffers beyond their first chunk.
	shared *atomic.Int64
}

// room is where the next bytes go, empty when the buffer is full.
func (b *buffer) room() []byte {
	if b.filled == len(b.chunks)*chunkSize {
		return nil
	}
	return b.chunks[b.filled/chunkSize][b.filled%chunkSize:]
}

// grow makes room in a buffer that is full, for limit bytes at most in all. It reports false
// when the buffer, or all of them together, would become too large.
func (b *buffer) grow(limit int) bool {
	if len(b.chunks)*chunkSize >= limit {
		return false
	}
	if len(b.chunks) > 0 && b.shared.Add(chunkSize) > maxBuffered {
		b.shared.Add(-chunkSize)
		return false
	}
	b.chunks = append(b.chunks, chunks.Get().(*chunk))
	return true
}

// each calls f with the content, piece by piece, until it returns an error.
func (b *buffer) each(f func(piece []byte) error) error {
	left := b.filled
	for _, c := range b.chunks {
		n := min(left, chunkSize)
		if err := f(c[:n]); err != nil {
			return err
		}
		left -= n
	}
	return nil
}

// copyTo fills p, which is as long as the content.
func (b *buffer) copyTo(p []byte) {
	_ = b.each(func(piece []byte) error {
		p = p[copy(p, piece):]
		return nil
	})
}

// writeTo empties the buffer into w, and keeps one chunk for what comes next.
func (b *buffer) writeTo(w io.Writer) error {
	err := b.each(func(piece []byte) error {
		_, err := w.Write(piece)
		return err
	})
	b.keep(1)
	return err
}

// free gives all memory back.
func (b *buffer) free() { b.keep(0) }

// keep empties the buffer and gives back all but n chunks.
func (b *buffer) keep(n int) {
	for i := len(b.chunks) - 1; i >= n; i-- {
		chunks.Put(b.chunks[i])
		if i > 0 {
			b.shared.Add(-chunkSize)
		}
		b.chunks = b.chunks[:i]
	}
	b.filled = 0
}
