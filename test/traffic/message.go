package traffic

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
)

// Sender and Recipient are on the envelope of every message.
const (
	Sender    = "app@example.com"
	Recipient = "bob@example.net"
)

const (
	// mark is the header field that tells a message's number, and length and checksum of its
	// body.
	mark = "X-Traffic: "

	lineLength = len("\r\n") + 74
	poolLines  = 4096
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	// pool are the lines that bodies are cut from: no two places of it look alike.
	pool = makePool()
)

func makePool() []byte {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-+"
	lines := make([]byte, 0, poolLines*lineLength)
	state := uint64(1)
	for len(lines) < poolLines*lineLength {
		for range lineLength - len("\r\n") {
			state = state*6364136223846793005 + 1442695040888963407
			lines = append(lines, letters[state>>58])
		}
		lines = append(lines, "\r\n"...)
	}
	return lines
}

// AppendMessage appends a message of about that size, whose header tells its number.
func AppendMessage(b []byte, number uint64, size int) []byte {
	from := len(b)
	b = append(b, "From: "+Sender+"\r\nTo: "+Recipient+"\r\nSubject: message "...)
	b = strconv.AppendUint(b, number, 10)
	b = append(b, "\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <"...)
	b = strconv.AppendUint(b, number, 10)
	b = append(b, "@traffic.test>\r\n"+mark...)
	head := len(b) - from + len("18446744073709551615 1048576 4294967295\r\n\r\n")
	body := bodyOf(number, max(1, (size-head+lineLength/2)/lineLength))
	b = fmt.Appendf(b, "%d %d %d\r\n\r\n", number, body.size(), body.sum())
	for _, part := range body {
		b = append(b, part...)
	}
	return b
}

// body is text in pieces of the pool.
type body [][]byte

// bodyOf returns the lines of a body, other ones for each number of a row of thousands.
func bodyOf(number uint64, lines int) body {
	var b body
	at := int(number * 1009 % poolLines)
	for lines > 0 {
		n := min(lines, poolLines-at)
		b = append(b, pool[at*lineLength:(at+n)*lineLength])
		lines -= n
		at = 0
	}
	return b
}

func (b body) size() int {
	n := 0
	for _, part := range b {
		n += len(part)
	}
	return n
}

func (b body) sum() uint32 {
	sum := uint32(0)
	for _, part := range b {
		sum = crc32.Update(sum, castagnoli, part)
	}
	return sum
}

// ErrUnmarked means that a message is none of this package's, such as a bounce.
var ErrUnmarked = errors.New("the message has no number")

// Check returns the number of a message, and an error when it is not as it was submitted, but
// for header fields that were added.
func Check(content []byte) (number uint64, err error) {
	head, text, ok := bytes.Cut(content, []byte("\r\n\r\n"))
	if !ok {
		return 0, ErrUnmarked
	}
	_, value, ok := bytes.Cut(head, []byte("\r\n"+mark))
	if !ok {
		return 0, ErrUnmarked
	}
	var size int
	var sum uint32
	if _, err := fmt.Fscanf(bytes.NewReader(value), "%d %d %d", &number, &size, &sum); err != nil {
		return 0, fmt.Errorf("the number of a message cannot be read: %w", err)
	}
	if got := crc32.Checksum(text, castagnoli); len(text) != size || got != sum {
		return number, fmt.Errorf("message %d: %d octets with checksum %d, want %d with %d", number, len(text), got, size, sum)
	}
	if want := bodyOf(number, size/lineLength); want.sum() != sum {
		return number, fmt.Errorf("message %d has the body of another one", number)
	}
	return number, nil
}
