package recode

import (
	"bufio"
	"bytes"
	"unicode/utf8"
)

// folder writes text that has no encoding, in lines of at most MaxLine octets.
type folder struct {
	w *bufio.Writer
	// sevenBit makes a question mark of every octet above 127.
	sevenBit bool
	line     []byte
}

func (f *folder) write(piece []byte) {
	for _, c := range piece {
		if c >= utf8.RuneSelf && f.sevenBit {
			c = '?'
		}
		f.line = append(f.line, c)
		switch {
		case c == '\n':
			f.flush()
		case c != '\r' && len(f.line) > MaxLine:
			f.fold()
		}
	}
}

// fold breaks the line before its last white space. Without any it breaks before a character,
// and adds a space, so that the rest cannot be a delimiter.
func (f *folder) fold() {
	text, added := f.line, ""
	at := bytes.LastIndexAny(text, " \t")
	if at <= 0 {
		added = " "
		for at = len(text) - 1; at > len(text)-utf8.UTFMax && !utf8.RuneStart(text[at]); {
			at--
		}
	}
	rest := append([]byte(added), text[at:]...)
	_, _ = f.w.Write(text[:at])
	_, _ = f.w.WriteString("\r\n")
	f.line = append(f.line[:0], rest...)
}

func (f *folder) flush() {
	_, _ = f.w.Write(f.line)
	f.line = f.line[:0]
}
