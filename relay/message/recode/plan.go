package recode

import (
	"bufio"
	"fmt"
	"io"
)

// Limits are what a way can carry, besides lines of MaxLine octets.
type Limits struct {
	// SevenBit means that bodies must be ASCII.
	SevenBit bool
}

// action is what is done to an entity's content.
type action struct {
	kind    actionKind
	charset string // to declare when the entity does not say what it is
}

type actionKind int

const (
	keep       actionKind = iota
	toQuoted              // encode as quoted-printable
	toBase64              // encode as base64
	wrapQuoted            // break the lines of what is quoted-printable already
	wrapBase64            // break the lines of what is base64 already
	fold                  // break the lines of what stands around parts: preamble and epilogue
)

// Plan is what has to change in a message.
type Plan struct {
	limits  Limits
	actions []action
	changes bool
}

// Changes reports whether anything has to change.
func (p *Plan) Changes() bool { return p.changes }

// Plan ends the message and says what has to change for the limits: ErrSigned or ErrUnfit when
// that is not possible.
func (s *Scanner) Plan(limits Limits) (*Plan, error) {
	if !s.over {
		s.over = true
		s.walker.close()
	}
	p := &Plan{limits: limits, actions: make([]action, len(s.facts))}
	for i := range s.facts {
		f := &s.facts[i]
		if f.unfoldable {
			return nil, ErrUnfit
		}
		var err error
		if f.long || limits.SevenBit && f.eightBit > 0 {
			if p.actions[i], err = f.mend(limits); err != nil {
				return nil, err
			}
		}
		p.changes = p.changes || f.longHeader || p.actions[i].kind != keep
	}
	return p, nil
}

// mend chooses what to do with content that cannot stay as it is.
func (f *facts) mend(limits Limits) (action, error) {
	switch {
	case f.signed:
		return action{}, ErrSigned
	case f.kind == parted && f.foldable(limits):
		return action{kind: fold}, nil
	case f.kind != leaf:
		return action{}, ErrUnfit
	}
	switch f.encoding {
	case "quoted-printable":
		return action{kind: wrapQuoted}, nil
	case "base64":
		return action{kind: wrapBase64}, nil
	case "", "7bit", "8bit", "binary":
		return f.encode(), nil
	}
	return action{}, ErrUnfit
}

// foldable reports whether what a multipart has besides its parts can be folded. Readers pass
// over that, unless there are no parts: a multipart that names another boundary than it uses
// is all preamble, and must lose nothing.
func (f *facts) foldable(limits Limits) bool {
	return f.opened || !f.unbreakable && (!limits.SevenBit || f.eightBit == 0)
}

// encode chooses the encoding that people can still read for text that is mostly ASCII, and
// the shorter one for everything else.
func (f *facts) encode() action {
	a := action{kind: toQuoted, charset: "us-ascii"}
	if !f.text || f.eightBit > f.size/6 {
		a.kind = toBase64
	}
	if f.eightBit > 0 {
		a.charset = "utf-8"
	}
	if f.notUTF8 {
		a.charset = "unknown-8bit" // RFC 1428
	}
	return a
}

// Copy writes the message in r to w as planned. It must be the message that was scanned. Errors
// are those of r and w.
func (p *Plan) Copy(w io.Writer, r io.Reader) error {
	if !p.changes {
		_, err := io.Copy(w, r)
		return err
	}
	out := bufio.NewWriter(w)
	c := &copier{plan: p, w: out, folder: folder{w: out, sevenBit: p.limits.SevenBit}}
	walk := newWalker(c)
	if _, err := io.Copy(walk, r); err != nil {
		return fmt.Errorf("read the message: %w", err)
	}
	walk.close()
	c.folder.flush()
	return out.Flush()
}

// copier is the visitor that writes. Errors of w show when it is flushed.
type copier struct {
	plan    *Plan
	w       *bufio.Writer
	encoder encoder
	folder  folder
}

func (c *copier) action(e *entity) action { return c.plan.actions[e.index] }

func (c *copier) header(e *entity, raw []byte) {
	raw = c.relabel(e, raw)
	if hasLongLine(raw) {
		raw, _ = foldHeader(raw)
	}
	_, _ = c.w.Write(raw)
	c.encoder = newEncoder(c.action(e).kind, c.w)
}

func (c *copier) body(_ *entity, piece []byte, _ bool) { c.encoder.write(piece) }

func (c *copier) frame(e *entity, piece []byte, _ bool) {
	if c.action(e).kind == fold {
		c.folder.write(piece)
		return
	}
	_, _ = c.w.Write(piece)
}

func (c *copier) end(e *entity, delimited bool) {
	if e.kind == leaf || e.kind == opaque {
		c.encoder.close(delimited)
	}
}

// relabel makes the header say how the content is encoded.
func (c *copier) relabel(e *entity, raw []byte) []byte {
	a := c.action(e)
	switch {
	case a.kind == toQuoted:
		return declare(e, raw, "quoted-printable", a.charset)
	case a.kind == toBase64:
		return declare(e, raw, "base64", a.charset)
	case c.plan.limits.SevenBit && e.kind != opaque && (e.encoding == "8bit" || e.encoding == "binary"):
		return declare(e, raw, "7bit", "")
	}
	return raw
}
