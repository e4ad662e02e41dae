package recode

import "bytes"

const (
	// MaxLine is the longest line of a message in octets, without its CRLF.
	MaxLine = 998

	// lineBuffer is how much of a line is looked at as a whole: more than a delimiter has.
	lineBuffer = 2 << 10
	// maxHeader bounds the header of one part, which is held in memory.
	maxHeader = 256 << 10
	// maxDepth and maxParts bound what a message can be made of. Beyond them it is content.
	maxDepth = 32
	maxParts = 10_000
)

// visitor is told of a message's structure, in the order of its octets. All that it is given,
// put together, is the message.
type visitor interface {
	// header is the header of an entity, with the empty line that ends it, if any.
	header(e *entity, raw []byte)
	// body is content of an entity that has no parts. first means the start of a line; a line
	// may come in pieces.
	body(e *entity, piece []byte, first bool)
	// frame is what a multipart has besides its parts: delimiters, preamble, epilogue.
	frame(e *entity, piece []byte, first bool)
	// end is the end of an entity. delimited means that a delimiter follows, to which the last
	// CRLF belongs (RFC 2046 §5.1.1).
	end(e *entity, delimited bool)
}

// walker finds the entities in a message that is written to it.
type walker struct {
	visitor visitor
	line    []byte
	inLine  bool // the start of the line in hand has been passed on
	// stack are the entities around what comes next, the innermost last.
	stack    []*entity
	inHeader bool
	raw      []byte
	count    int
}

func newWalker(v visitor) *walker {
	w := &walker{visitor: v, line: make([]byte, 0, lineBuffer)}
	w.begin(nil)
	return w
}

// reset makes the walker walk another message.
func (w *walker) reset() {
	*w = walker{visitor: w.visitor, line: w.line[:0], stack: w.stack[:0], raw: w.raw[:0]}
	w.begin(nil)
}

// Write implements io.Writer; it never fails.
func (w *walker) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n') + 1
		if end == 0 {
			end = len(p)
		}
		take := min(end, lineBuffer-len(w.line))
		if len(w.line) == 0 && p[take-1] == '\n' {
			w.pass(p[:take])
			p = p[take:]
			continue
		}
		w.line = append(w.line, p[:take]...)
		p = p[take:]
		if w.line[len(w.line)-1] == '\n' || len(w.line) == lineBuffer {
			w.flush()
		}
	}
	return n, nil
}

// close ends the message.
func (w *walker) close() {
	if len(w.line) > 0 {
		w.flush()
	}
	w.leave(0, false)
}

// flush passes on what was gathered of a line.
func (w *walker) flush() {
	w.pass(w.line)
	w.line = w.line[:0]
}

// pass passes on a line, or a piece of one.
func (w *walker) pass(piece []byte) {
	first := !w.inLine
	w.inLine = piece[len(piece)-1] != '\n'
	whole := first && !w.inLine
	if whole && w.delimiter(piece) {
		return
	}
	top := w.stack[len(w.stack)-1]
	switch {
	case w.inHeader:
		w.headerPiece(piece, whole)
	case top.kind == parted:
		w.visitor.frame(top, piece, first)
	default:
		w.visitor.body(top, piece, first)
	}
}

// begin enters an entity. Its header comes next.
func (w *walker) begin(parent *entity) {
	e := &entity{index: w.count, isMessage: parent == nil || parent.kind == enclosed, inDigest: parent != nil && parent.digest}
	w.count++
	w.stack = append(w.stack, e)
	w.inHeader, w.raw = true, w.raw[:0]
}

func (w *walker) headerPiece(piece []byte, whole bool) {
	w.raw = append(w.raw, piece...)
	switch {
	case whole && string(piece) == "\r\n":
		w.endHeader()
	case len(w.raw) > maxHeader:
		e := w.stack[len(w.stack)-1]
		e.kind, e.huge = opaque, true
		w.inHeader = false
		w.visitor.header(e, w.raw)
	}
}

// endHeader finds out what the entity is that the header belongs to.
func (w *walker) endHeader() {
	e := w.stack[len(w.stack)-1]
	e.classify(w.raw)
	if (e.kind == parted || e.kind == enclosed) && (len(w.stack) >= maxDepth || w.count >= maxParts) {
		e.kind = opaque
	}
	w.inHeader = false
	w.visitor.header(e, w.raw)
	if e.kind == enclosed {
		w.begin(e)
	}
}

// leave ends entities until n are left around.
func (w *walker) leave(n int, delimited bool) {
	for len(w.stack) > n {
		if w.inHeader {
			w.inHeader = false
			w.visitor.header(w.stack[len(w.stack)-1], w.raw)
		}
		w.visitor.end(w.stack[len(w.stack)-1], delimited)
		w.stack = w.stack[:len(w.stack)-1]
	}
}

// delimiter reports whether a line is a delimiter of one of the multiparts around, and acts on
// it. A delimiter of an outer one ends the inner ones, whole or not.
func (w *walker) delimiter(line []byte) bool {
	if len(line) > MaxLine || !bytes.HasPrefix(line, []byte("--")) {
		return false
	}
	text := bytes.TrimRight(line[2:], " \t\r\n")
	for i := len(w.stack) - 1; i >= 0; i-- {
		e := w.stack[i]
		if e.kind != parted || e.closed {
			continue
		}
		rest, ok := bytes.CutPrefix(text, []byte(e.boundary))
		if !ok || len(rest) > 0 && string(rest) != "--" {
			continue
		}
		w.leave(i+1, true)
		w.visitor.frame(e, line, true)
		switch {
		case len(rest) > 0:
			e.closed = true
		case w.count >= maxParts:
			e.kind = opaque
		default:
			e.opened = true
			w.begin(e)
		}
		return true
	}
	return false
}
