package message

import (
	"encoding/binary"
	"errors"
	"io"
)

var (
	// ErrBareCR means that the content has a CR that no LF follows (RFC 5321 §2.3.8). What
	// the client took for the end of data may lie behind it unseen.
	ErrBareCR = errors.New("the message has a bare CR")
	// ErrNUL means that the content has a NUL octet (RFC 5321 §4.5.2, RFC 5322 §4).
	ErrNUL = errors.New("the message has a NUL octet")
)

const readerBuffer = 16 << 10

// lineReader reads content with every line ended by CRLF: a bare LF is turned into CRLF, as
// is the end of a last line without one. Any error but io.EOF means that the content is not
// whole; it stays.
type lineReader struct {
	src        io.Reader
	buf        [readerBuffer]byte
	start, end int // what of buf is not yet passed on
	sawCR      bool
	owesLF     bool // a CR was passed on and its LF is to follow
	inLine     bool // the last octet passed on was not a line end
	eightBit   bool
	err        error
}

// reset makes the reader read from src, as new.
func (l *lineReader) reset(src io.Reader) {
	l.src, l.start, l.end, l.err = src, 0, 0, nil
	l.sawCR, l.owesLF, l.inLine, l.eightBit = false, false, false, false
}

// Read implements io.Reader.
func (l *lineReader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		switch {
		case l.owesLF:
			p[n] = '\n'
			n++
			l.owesLF, l.inLine = false, false
		case l.start < l.end:
			n += l.pass(p[n:])
		case n > 0:
			return n, nil
		case l.err != nil:
			if !l.finish() {
				return 0, l.err
			}
		default:
			l.fill()
		}
	}
	return n, nil
}

// fill reads more from the source.
func (l *lineReader) fill() {
	l.start = 0
	l.end, l.err = l.src.Read(l.buf[:])
}

// finish completes the last line at the end of the content. It reports whether there is
// something to pass on before the error.
func (l *lineReader) finish() bool {
	if l.err != io.EOF {
		return false
	}
	if l.sawCR {
		l.err = ErrBareCR
		return false
	}
	if l.inLine {
		l.startLineEnd()
		return true
	}
	return false
}

func (l *lineReader) startLineEnd() {
	l.buf[0] = '\n'
	l.start, l.end = 0, 1
}

// pass moves octets from the buffer to p until either is used up or a line ends.
func (l *lineReader) pass(p []byte) int {
	n := 0
	for n < len(p) && l.start < l.end {
		if k := copy(p[n:], l.plain()); k > 0 {
			n, l.start, l.inLine = n+k, l.start+k, true
		}
		if l.wholeLineEnd() && len(p)-n >= 2 {
			n += copy(p[n:], "\r\n")
			l.start, l.inLine = l.start+2, false
			continue
		}
		if n == len(p) || l.start == l.end {
			break
		}
		c := l.buf[l.start]
		switch {
		case c == '\n':
			l.start++
			p[n] = '\r'
			l.sawCR, l.owesLF = false, true
			return n + 1
		case l.sawCR:
			return l.fail(n, ErrBareCR)
		case c == '\r':
			l.sawCR = true
			l.start++
			continue
		case c == 0:
			return l.fail(n, ErrNUL)
		case c >= 0x80:
			l.eightBit = true
		}
		p[n] = c
		n++
		l.start++
		l.inLine = true
	}
	return n
}

// Words of eight octets that are all 1, CR, LF, or 0 but for their highest bit.
const (
	eachOne  = 0x0101010101010101
	eachCR   = '\r' * eachOne
	eachLF   = '\n' * eachOne
	eachHigh = 0x80 * eachOne
)

// plain are those of the next octets that only have to be copied.
func (l *lineReader) plain() []byte {
	b := l.buf[l.start:l.end]
	high := uint64(eachHigh)
	switch {
	case l.sawCR:
		return nil
	case l.eightBit:
		high = 0
	}
	n := 0
	for n+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[n:])
		if w&high|zeros(w)|zeros(w^eachCR)|zeros(w^eachLF) != 0 {
			break
		}
		n += 8
	}
	for n < len(b) && ' ' <= b[n] && b[n] <= '~' {
		n++
	}
	return b[:n]
}

// wholeLineEnd reports whether CR and LF are next.
func (l *lineReader) wholeLineEnd() bool {
	return !l.sawCR && l.end-l.start >= 2 && l.buf[l.start] == '\r' && l.buf[l.start+1] == '\n'
}

// zeros is not 0 when one of the eight octets is.
func zeros(w uint64) uint64 { return (w - eachOne) &^ w & eachHigh }

// fail ends the content with an error, after the n octets before the fault.
func (l *lineReader) fail(n int, err error) int {
	l.err, l.sawCR = err, false
	l.start, l.end = 0, 0
	return n
}
