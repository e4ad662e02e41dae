package spool

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// errContent means that content is not what its record describes.
var errContent = errors.New("content differs from what was accepted")

// Open implements Spool. The reader is also an io.Seeker and an io.ReaderAt. Content is
// checked before any of it is handed out: half of a damaged message must not reach an
// upstream.
func (s *Store) Open(id string) (io.ReadCloser, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.active.Done()
	if m := s.recent.get(id); m != nil && !m.content.inFile {
		return smallReader{bytes.NewReader(m.body)}, nil
	}
	return s.openContent(envelopeKey, id)
}

// OpenDeadLetter implements Spool.
func (s *Store) OpenDeadLetter(id string) (io.ReadCloser, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.active.Done()
	return s.openContent(deadKey, id)
}

// openContent opens what a record describes.
func (s *Store) openContent(kind byte, id string) (io.ReadCloser, error) {
	record, err := s.recordOf(kind, id)
	if err != nil {
		return nil, err
	}
	c, err := decodeContent(record)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, id, err)
	}
	open := s.openSmall
	if c.inFile {
		open = s.openFile
	}
	body, err := open(id, c)
	if errors.Is(err, errContent) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNotFound) {
		return nil, s.damaged(kind, id, err)
	}
	return body, err
}

// damaged says that a message is, unless it was removed while it was being opened.
func (s *Store) damaged(kind byte, id string, cause error) error {
	if _, err := s.recordOf(kind, id); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s: %w", ErrDamaged, id, cause)
}

// smallReader reads content that is held in memory.
type smallReader struct{ *bytes.Reader }

func (smallReader) Close() error { return nil }

func (s *Store) openSmall(id string, c content) (io.ReadCloser, error) {
	body, err := s.get(bodyKey, id)
	if err != nil {
		return nil, err
	}
	if err := c.check(bytes.NewReader(body)); err != nil {
		return nil, err
	}
	return smallReader{bytes.NewReader(body)}, nil
}

// fileReader reads content from its file.
type fileReader struct {
	*io.SectionReader
	file vfs.File
}

func (r fileReader) Close() error { return r.file.Close() }

func (s *Store) openFile(id string, c content) (io.ReadCloser, error) {
	file, err := s.layout.fs.Open(s.layout.body(id), vfs.SequentialReadsOption)
	if err != nil {
		return nil, fmt.Errorf("open the content of %s: %w", id, err)
	}
	if err := c.check(io.NewSectionReader(file, 0, c.size+1)); err != nil {
		_ = file.Close()
		return nil, err
	}
	return fileReader{io.NewSectionReader(file, 0, c.size), file}, nil
}

// check reads body to its end and compares it with the record.
func (c content) check(body io.Reader) error {
	buffer := chunks.Get().(*chunk)
	defer chunks.Put(buffer)
	sum := crc32.New(castagnoli)
	// The wrapper hides WriteTo, so that the buffer is used.
	size, err := io.CopyBuffer(sum, struct{ io.Reader }{body}, buffer[:])
	if err != nil {
		return fmt.Errorf("read content: %w", err)
	}
	if size != c.size || sum.Sum32() != c.sum {
		return fmt.Errorf("%w: %d bytes with checksum %08x, want %d with %08x", errContent, size, sum.Sum32(), c.size, c.sum)
	}
	return nil
}
