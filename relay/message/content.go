package message

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Bounds of the header of a message, which is held in memory. Each field takes some of it
// besides its bytes.
const (
	MaxHeaderBytes  = 256 << 10
	MaxHeaderFields = 1000
)

var (
	// ErrHeaderTooLarge means that the header is longer than MaxHeaderBytes.
	ErrHeaderTooLarge = fmt.Errorf("the header of the message is larger than %d KiB", MaxHeaderBytes>>10)
	// ErrTooManyFields means that the header has more than MaxHeaderFields.
	ErrTooManyFields = fmt.Errorf("the message has more than %d header fields", MaxHeaderFields)
	// ErrBrokenHeader means that a Bcc field comes after a line that is no header field and
	// ends the header: everybody would read in the body who gets a blind copy.
	ErrBrokenHeader = errors.New("the header of the message has a line that is no header field, and a Bcc field after it")
)

// Content is a message that is being read.
type Content struct {
	// Header is complete once ReadContent returned.
	Header Header

	lines lineReader
	body  *bufio.Reader
	// start is what was read of the body in search of the header's end.
	start []byte
}

var contents = sync.Pool{New: func() any {
	c := new(Content)
	c.body = bufio.NewReaderSize(&c.lines, readerBuffer)
	return c
}}

// ReadContent reads the header of the message in r. The body stays in r until WriteBody.
// Errors are ErrBareCR, ErrNUL, ErrHeaderTooLarge, ErrTooManyFields, ErrBrokenHeader and those
// of r. Close must be called in any case but an error.
//
// A message without an empty line after its header is mended: the first line that is no
// header field starts the body. So is one with the "From " line of a mailbox file before its
// header: that line is dropped.
func ReadContent(r io.Reader) (*Content, error) { return readContent(r, 1) }

// ReadAccepted is ReadContent for a message that was accepted before: its header may have
// grown to twice the bounds by what the relay added and folded.
func ReadAccepted(r io.Reader) (*Content, error) { return readContent(r, 2) }

func readContent(r io.Reader, times int) (*Content, error) {
	c := contents.Get().(*Content)
	c.lines.reset(r)
	c.body.Reset(&c.lines)
	if err := c.readHeader(times*MaxHeaderBytes, times*MaxHeaderFields); err != nil {
		c.Close()
		return nil, err
	}
	// From here on it is said of the body alone: the header may change.
	ahead, _ := c.body.Peek(c.body.Buffered())
	c.lines.eightBit = !isASCII(ahead) || !isASCII(c.start)
	return c, nil
}

// Close gives the buffers back. The content cannot be used after it.
func (c *Content) Close() {
	c.lines.reset(nil)
	c.Header, c.start = Header{}, nil
	contents.Put(c)
}

// readHeader reads up to the line that ends the header.
func (c *Content) readHeader(maxBytes, maxFields int) error {
	for size := 0; ; {
		line, err := c.readLine(maxBytes - size)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		size += len(line)
		switch {
		case len(line) == len("\r\n") && c.start == nil:
			return nil
		case c.start == nil && len(c.Header.fields) == 0 && isMailboxLine(line):
			c.start = line
			continue
		case !c.Header.addLine(line):
			c.start = append(c.start, line...)
			return c.lookForBcc(line)
		}
		c.start = nil
		if len(c.Header.fields) > maxFields {
			return ErrTooManyFields
		}
	}
}

// isMailboxLine reports whether a line is what separates messages in a mailbox file (RFC 4155).
// "From : a@example.com" is a field.
func isMailboxLine(line []byte) bool {
	_, isField := fieldName(line)
	return !isField && bytes.HasPrefix(bytes.TrimPrefix(line, []byte(">")), []byte("From "))
}

// lookForBcc reads on from a line that ended the header, up to the next empty line, as far as
// a header may reach.
func (c *Content) lookForBcc(line []byte) error {
	whole := true
	for len(line) > len("\r\n") && len(c.start) < MaxHeaderBytes {
		part, err := c.body.ReadSlice('\n')
		c.start = append(c.start, part...)
		if whole {
			line = part
		}
		if name, ok := fieldName(line); whole && ok && isBcc(name) {
			return ErrBrokenHeader
		}
		switch whole = err == nil; {
		case err == io.EOF:
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
	return nil
}

// readLine returns a copy of the next line with its CRLF, io.EOF when there is none.
func (c *Content) readLine(limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := c.body.ReadSlice('\n')
		if len(line)+len(part) > limit {
			return nil, ErrHeaderTooLarge
		}
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// WriteTo writes header and body to w, every line ended by CRLF, and returns the octets
// written. It implements io.WriterTo. Errors are ErrBareCR, ErrNUL, those of the reader and
// those of w; after any of them what was written is not a message.
func (c *Content) WriteTo(w io.Writer) (int64, error) {
	var head bytes.Buffer
	c.Header.appendTo(&head)
	head.Write(c.start)
	n, err := w.Write(head.Bytes())
	if err != nil {
		return int64(n), &WriteError{err}
	}
	m, err := c.body.WriteTo(failingWriter{w})
	return int64(n) + m, err
}

// EightBit reports whether there are octets above 127 in the header, as it is now, and in what
// was read of the body so far.
func (c *Content) EightBit() bool { return c.lines.eightBit || !c.Header.ASCII() }

// WriteError is a failure of the writer, to be told from one of the reader.
type WriteError struct{ Err error }

func (e *WriteError) Error() string { return "write the message: " + e.Err.Error() }

// Unwrap returns the writer's error.
func (e *WriteError) Unwrap() error { return e.Err }

// failingWriter marks the errors of a writer as a WriteError.
type failingWriter struct{ io.Writer }

func (w failingWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		err = &WriteError{err}
	}
	return n, err
}
