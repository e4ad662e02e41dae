package message

import (
	"io"
	"strings"
	"testing"
)

// BenchmarkRead is what reading costs each message that is submitted.
func BenchmarkRead(b *testing.B) {
	text := "From: app@example.com\r\nTo: bob@example.net\r\nSubject: hi\r\n\r\n" +
		strings.Repeat(strings.Repeat("x", 76)+"\r\n", 1300)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		c, err := ReadContent(strings.NewReader(text))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}
