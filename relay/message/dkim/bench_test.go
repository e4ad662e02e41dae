package dkim

import (
	"strings"
	"testing"
)

// BenchmarkSign is what a message of 4 KiB costs at each attempt.
func BenchmarkSign(b *testing.B) {
	message := []byte("From: a@example.com\r\nSubject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 52))
	for name, used := range map[string][]Key{"RSA": keys()[:1], "Ed25519": keys()[1:2], "both": keys()[:2], "none": nil} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s := NewSigner(used, nil)
				if _, err := s.Write(message); err != nil {
					b.Fatal(err)
				}
				if _, err := s.Signatures(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
