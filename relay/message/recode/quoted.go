package recode

import (
	"bufio"
	"unicode/utf8"
)

// quoted writes quoted-printable (RFC 2045 §6.7) with its line ends as they are.
type quoted struct {
	w *bufio.Writer
	// encoded means that the content is quoted-printable already: an equals sign and the two
	// octets after it stay together and stay as they are.
	encoded bool
	column  int
	// blank is a space or tab that is not written yet: at the end of a line it has to be
	// encoded. Zero is none.
	blank byte
	sawCR bool
	// escape is how many octets still belong to an equals sign.
	escape int
	held   []byte // an escape that is not complete
}

func (q *quoted) write(piece []byte) {
	for _, c := range piece {
		q.octet(c)
	}
}

func (q *quoted) octet(c byte) {
	if q.sawCR {
		q.sawCR = false
		if c == '\n' {
			q.endLine()
			return
		}
		q.code('\r')
	}
	switch {
	case c == '\r':
		q.sawCR = true
	case q.encoded && q.inEscape(c):
	case c == ' ' || c == '\t':
		q.flushBlank()
		q.blank = c
	case c < ' ' || c > '~' || c == '=':
		q.flushBlank()
		q.code(c)
	default:
		q.flushBlank()
		q.put(c)
	}
}

// inEscape keeps an escape together, and reports whether c belongs to one.
func (q *quoted) inEscape(c byte) bool {
	if q.escape > 0 {
		q.escape--
	} else if c == '=' {
		q.flushBlank()
		q.escape = 2
	} else {
		return false
	}
	if c >= utf8.RuneSelf || c == '\n' {
		c = '?' // no escape at all; nothing that it could mean is lost
	}
	q.held = append(q.held, c)
	if q.escape == 0 {
		q.flushEscape()
	}
	return true
}

func (q *quoted) flushEscape() {
	q.put(q.held...)
	q.held, q.escape = q.held[:0], 0
}

// endLine writes a line end that is content.
func (q *quoted) endLine() {
	q.endText()
	_, _ = q.w.WriteString("\r\n")
	q.column = 0
}

// endText writes what was held back for the end of a line.
func (q *quoted) endText() {
	q.flushEscape()
	switch {
	case q.blank == 0:
	case q.encoded:
		q.put(q.blank) // it has no meaning there
	default:
		q.code(q.blank)
	}
	q.blank = 0
}

func (q *quoted) flushBlank() {
	if q.blank != 0 {
		q.put(q.blank)
		q.blank = 0
	}
}

const hexadecimal = "0123456789ABCDEF"

func (q *quoted) code(c byte) { q.put('=', hexadecimal[c>>4], hexadecimal[c&15]) }

// put writes octets that stay on one line, after a soft line break where they need one.
func (q *quoted) put(token ...byte) {
	if len(token) == 0 {
		return
	}
	if q.column+len(token) >= encodedLine {
		_, _ = q.w.WriteString("=\r\n")
		q.column = 0
		if token[0] == '-' {
			token = []byte("=2D") // the new line must not be a delimiter
		}
	}
	_, _ = q.w.Write(token)
	q.column += len(token)
}

func (q *quoted) close(bool) {
	if q.sawCR {
		q.sawCR = false
		q.code('\r')
	}
	q.endText()
}
