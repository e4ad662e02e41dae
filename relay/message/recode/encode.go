package recode

import (
	"bufio"
	"encoding/base64"
	"io"
	"unicode/utf8"
)

// encodedLine is the longest line of an encoding (RFC 2045 §6.7, §6.8).
const encodedLine = 76

// encoder writes the content of one entity.
type encoder interface {
	write(piece []byte)
	close(delimited bool)
}

func newEncoder(kind actionKind, w *bufio.Writer) encoder {
	switch kind {
	case toQuoted:
		return &quoted{w: w}
	case wrapQuoted:
		return &quoted{w: w, encoded: true}
	case toBase64:
		lines := &lineBreaker{w: w}
		return &base64Encoder{lines: lines, encoder: base64.NewEncoder(base64.StdEncoding, lines)}
	case wrapBase64:
		return &lineBreaker{w: w}
	}
	return plain{w}
}

// plain copies.
type plain struct{ w io.Writer }

func (p plain) write(piece []byte) { _, _ = p.w.Write(piece) }
func (p plain) close(bool)         {}

// lineBreaker writes base64 in lines. What does not belong to base64 has no meaning there
// (RFC 2045 §6.8), so line ends and octets above 127 can go, and hyphens, which could make a
// new line a delimiter.
type lineBreaker struct {
	w      *bufio.Writer
	column int
}

func (l *lineBreaker) Write(p []byte) (int, error) {
	l.write(p)
	return len(p), nil
}

func (l *lineBreaker) write(piece []byte) {
	for _, c := range piece {
		if c <= ' ' || c == '-' || c >= utf8.RuneSelf {
			continue
		}
		if l.column == encodedLine {
			_, _ = l.w.WriteString("\r\n")
			l.column = 0
		}
		_ = l.w.WriteByte(c)
		l.column++
	}
}

func (l *lineBreaker) close(bool) { _, _ = l.w.WriteString("\r\n") }

// base64Encoder encodes content. The CRLF before a delimiter is not content.
type base64Encoder struct {
	lines   *lineBreaker
	encoder io.WriteCloser
	held    bool // a CRLF that may belong to a delimiter
}

func (b *base64Encoder) write(piece []byte) {
	b.release()
	if n := len(piece); n >= 2 && string(piece[n-2:]) == "\r\n" {
		b.held = true
		piece = piece[:n-2]
	}
	_, _ = b.encoder.Write(piece)
}

func (b *base64Encoder) release() {
	if b.held {
		b.held = false
		_, _ = b.encoder.Write([]byte("\r\n"))
	}
}

func (b *base64Encoder) close(delimited bool) {
	if !delimited {
		b.release()
	}
	_ = b.encoder.Close() // a lineBreaker never fails
	b.lines.close(delimited)
}
