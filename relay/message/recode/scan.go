package recode

import (
	"encoding/binary"
	"errors"
	"sync"
	"unicode/utf8"
)

var (
	// ErrSigned means that something inside a multipart/signed would have to change, which
	// would break its signature.
	ErrSigned = errors.New("a signed part has a line longer than 998 octets or 8-bit content, and changing it would break its signature")
	// ErrUnfit means that something would have to change for which there is no encoding.
	ErrUnfit = errors.New("the message has a line longer than 998 octets or 8-bit content where it cannot be encoded")
)

// facts are what a scan finds out about an entity.
type facts struct {
	kind     kind
	encoding string
	text     bool
	signed   bool
	// unfoldable means that a line of the header is too long and has no place to fold.
	unfoldable bool
	// longHeader means that a line of the header is too long.
	longHeader bool
	size       int64
	eightBit   int64
	long       bool
	// unbreakable means that a long line has no white space where it can be broken.
	unbreakable bool
	// opened means that a multipart has a part.
	opened bool
	// notUTF8 means that the content is none.
	notUTF8 bool
}

// Scanner finds out what in a message could need another encoding. The message, with its lines
// ended by CRLF, is written to it.
type Scanner struct {
	walker  *walker
	facts   []facts
	column  int
	run     int    // octets since the last white space
	partial []byte // the start of a UTF-8 character
	over    bool
}

var scanners = sync.Pool{New: func() any {
	s := new(Scanner)
	s.walker = newWalker(s)
	return s
}}

// NewScanner returns a Scanner of one message. Close gives its buffers back.
func NewScanner() *Scanner {
	s := scanners.Get().(*Scanner)
	s.walker.reset()
	*s = Scanner{walker: s.walker, facts: s.facts[:0], partial: s.partial[:0]}
	return s
}

// Close ends the use of the Scanner; a Plan that it made stays.
func (s *Scanner) Close() { scanners.Put(s) }

// Write implements io.Writer; it never fails.
func (s *Scanner) Write(p []byte) (int, error) { return s.walker.Write(p) }

func (s *Scanner) header(e *entity, raw []byte) {
	f := facts{kind: e.kind, encoding: e.encoding, text: e.text, signed: e.signed}
	f.longHeader = hasLongLine(raw)
	if f.longHeader {
		_, ok := foldHeader(raw)
		f.unfoldable = !ok || e.huge
	}
	s.facts = append(s.facts, f)
	s.column, s.partial = 0, s.partial[:0]
}

func (s *Scanner) body(e *entity, piece []byte, first bool) {
	f := &s.facts[e.index]
	before := f.eightBit
	f.measure(s, piece, first)
	if f.eightBit > before || len(s.partial) > 0 {
		s.checkUTF8(f, piece)
	}
}

func (s *Scanner) frame(e *entity, piece []byte, first bool) {
	s.facts[e.index].measure(s, piece, first)
}

func (s *Scanner) end(e *entity, _ bool) {
	f := &s.facts[e.index]
	f.kind = e.kind // which changes when there are too many parts
	f.opened = e.opened
	f.notUTF8 = f.notUTF8 || len(s.partial) > 0 && e.kind == leaf
	s.partial = s.partial[:0]
}

// measure counts a piece of a line.
func (f *facts) measure(s *Scanner, piece []byte, first bool) {
	if first {
		s.column, s.run = 0, 0
		if len(piece) <= MaxLine && piece[len(piece)-1] == '\n' && isASCII(piece) {
			f.size += int64(len(piece))
			return
		}
	}
	for _, c := range piece {
		if c >= utf8.RuneSelf {
			f.eightBit++
		}
		if s.run++; c == ' ' || c == '\t' || c == '\r' {
			s.run = 0
		}
		f.unbreakable = f.unbreakable || s.run >= MaxLine
	}
	f.size += int64(len(piece))
	s.column += len(piece)
	if piece[len(piece)-1] == '\n' {
		s.column -= len("\r\n")
	}
	f.long = f.long || s.column > MaxLine
}

// isASCII reports whether no octet is above 127.
func isASCII(b []byte) bool {
	const high = 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		if binary.LittleEndian.Uint64(b)&high != 0 {
			return false
		}
	}
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// checkUTF8 looks whether the content can still be UTF-8.
func (s *Scanner) checkUTF8(f *facts, piece []byte) {
	if f.notUTF8 {
		return
	}
	text := append(s.partial, piece...)
	for len(text) > 0 {
		if !utf8.FullRune(text) {
			break
		}
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 {
			f.notUTF8 = true
			text = nil
			break
		}
		text = text[n:]
	}
	s.partial = append(s.partial[:0], text...)
}
