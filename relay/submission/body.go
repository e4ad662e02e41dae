package submission

import (
	"errors"
	"io"
)

var (
	// errTooLarge means that a message is larger than the limit.
	errTooLarge = errors.New("the message is larger than the limit")
	// errBareLF means that a message has an LF without a CR before it, where that is refused.
	errBareLF = errors.New("the message has a bare LF")
)

// bodyReader reads what follows DATA, up to a limit of octets.
type bodyReader struct {
	src          io.Reader
	limit        int64 // 0 for none
	refuseBareLF bool
	read         int64
	last         byte // the last octet read
	ended        bool // the end of data was seen
}

// Read implements io.Reader. io.EOF is the end of data and nothing else: go-smtp turns the
// end of the connection into io.ErrUnexpectedEOF. errTooLarge comes once the limit is passed.
func (b *bodyReader) Read(p []byte) (int, error) {
	if b.limit > 0 {
		// One octet more than the limit, to tell a message of just that size from a larger one.
		left := b.limit + 1 - b.read
		if left <= 0 {
			return 0, errTooLarge
		}
		p = p[:min(int64(len(p)), left)]
	}
	n, err := b.src.Read(p)
	b.read += int64(n)
	b.ended = err == io.EOF
	switch {
	case b.limit > 0 && b.read > b.limit:
		return n, errTooLarge
	case b.refuseBareLF && b.bareLF(p[:n]):
		return n, errBareLF
	}
	return n, err
}

// bareLF reports whether p, which continues what was read before, has an LF without a CR.
func (b *bodyReader) bareLF(p []byte) bool {
	for _, c := range p {
		if c == '\n' && b.last != '\r' {
			return true
		}
		b.last = c
	}
	return false
}

// maxDiscard bounds what is read of a message after its refusal when there is no limit.
const maxDiscard = 32 << 20

// discard reads on to the end of data, but not much further than the client was told that a
// message may be. It reports whether it found the end.
func (b *bodyReader) discard() bool {
	if b.ended {
		return true
	}
	rest := b.limit
	if rest <= 0 {
		rest = maxDiscard
	}
	n, err := io.CopyN(io.Discard, b.src, rest)
	return err == io.EOF && n < rest // a wrapped one is no end of data
}
