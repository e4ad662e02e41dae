package frontdoor

import "bytes"

// segment is how many bytes of b are handed to the server in one read: the rest is kept
// back, so that nothing lies in the server's buffer when it says 221 (go-smtp would go on
// with commands sent after QUIT, without a session). It changes no byte and decides
// nothing: a cut at a wrong place only costs a read.
//
// Commands are handed over line by line. In a body, a cut is made wherever an end of data
// might be, however it is split over reads.
func segment(b []byte, body bool) int {
	if !body {
		return through(b, bytes.IndexByte(b, '\n'), 1)
	}
	switch {
	case bytes.HasPrefix(b, []byte("\n")):
		return 1
	case bytes.HasPrefix(b, []byte("\r\n")):
		return 2
	}
	return through(b, bytes.Index(b, []byte(".\r\n")), 3)
}

// through is the end of a mark of n bytes found at i, or of b when it was not found.
func through(b []byte, i, n int) int {
	if i < 0 {
		return len(b)
	}
	return i + n
}
