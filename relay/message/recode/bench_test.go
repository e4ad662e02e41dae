package recode

import (
	"strings"
	"testing"
)

// BenchmarkScan is what every message costs when it is submitted.
func BenchmarkScan(b *testing.B) {
	message := []byte("Content-Type: text/plain\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 50))
	b.SetBytes(int64(len(message)))
	for b.Loop() {
		s := NewScanner()
		_, _ = s.Write(message)
		if _, err := s.Plan(Limits{}); err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}
