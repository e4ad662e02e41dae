package frontdoor

import (
	"bytes"
	"errors"
	"io"
)

// maxPlainLine is the longest command in bytes, its CR LF included (RFC 5321 §4.5.3.1.4).
const maxPlainLine = 512

var (
	errLineTooLong = errors.New("line too long")
	errBareLF      = errors.New("line without CR")
)

// lines reads commands in plaintext, and never more than maxPlainLine bytes ahead.
type lines struct {
	r      io.Reader
	buffer []byte
}

// fill reads once, into what is left of the buffer.
func (l *lines) fill() error {
	if l.buffer == nil {
		l.buffer = make([]byte, 0, maxPlainLine)
	}
	if len(l.buffer) == maxPlainLine {
		return errLineTooLong
	}
	n, err := l.r.Read(l.buffer[len(l.buffer):maxPlainLine])
	l.buffer = l.buffer[:len(l.buffer)+n]
	if n > 0 {
		return nil
	}
	return err
}

// next returns a line without its CR LF.
func (l *lines) next() (string, error) {
	for {
		if end := bytes.IndexByte(l.buffer, '\n'); end >= 0 {
			line, ok := bytes.CutSuffix(l.buffer[:end], []byte("\r"))
			if !ok {
				return "", errBareLF
			}
			text := string(line)
			l.buffer = l.buffer[:copy(l.buffer, l.buffer[end+1:])]
			return text, nil
		}
		if err := l.fill(); err != nil {
			return "", err
		}
	}
}

// ahead tells whether bytes after the last line have been read.
func (l *lines) ahead() bool { return len(l.buffer) > 0 }
