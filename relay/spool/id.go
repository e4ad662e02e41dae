package spool

import (
	"crypto/rand"
	"encoding/binary"
	"time"
)

const (
	// idAlphabet is in the order of ASCII, so that ids sort by time. It leaves out the
	// letters that are misread when an id is typed from a screen: i, l, o, u.
	idAlphabet   = "0123456789abcdefghjkmnpqrstvwxyz"
	idTimeLen    = 10
	idRandomLen  = 10
	idLen        = idTimeLen + idRandomLen
	bitsPerDigit = 5
)

// newID makes a queue id: the milliseconds of the clock, then fifty random bits, which keep
// ids of all relays apart. Nothing of it comes from a client.
func newID(now time.Time) string {
	var random [8]byte
	// crypto/rand.Read never returns an error.
	_, _ = rand.Read(random[:])
	id := make([]byte, 0, idLen)
	id = appendDigits(id, uint64(now.UnixMilli()), idTimeLen)
	return string(appendDigits(id, binary.BigEndian.Uint64(random[:]), idRandomLen))
}

// appendDigits appends the lowest n digits of v, the most significant one first.
func appendDigits(id []byte, v uint64, n int) []byte {
	for i := n - 1; i >= 0; i-- {
		id = append(id, idAlphabet[v>>(i*bitsPerDigit)&(1<<bitsPerDigit-1)])
	}
	return id
}

// validID reports whether id can be a queue id. Ids become file names, so whatever is asked
// for must pass it first.
func validID(id string) bool {
	if len(id) != idLen {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
