package submission

import (
	"io"
	"strings"
	"testing"
)

// BenchmarkSubmit takes messages of 4 KiB on connections that stay open.
func BenchmarkSubmit(b *testing.B) {
	f := start(b, func(f *fixture) { f.spool.forget = true })
	content := "From: app@example.com\r\nTo: bob@example.net\r\nSubject: benchmark\r\n\r\n" +
		strings.Repeat(strings.Repeat("x", 76)+"\r\n", 52) + ".\r\n"
	b.SetBytes(int64(len(content)))
	b.RunParallel(func(pb *testing.PB) {
		c := f.login()
		for pb.Next() {
			if _, err := io.WriteString(c.conn, "MAIL FROM:<app@example.com>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n"); err != nil {
				b.Error(err)
				return
			}
			c.expect("250 ")
			c.expect("250 ")
			c.expect("354 ")
			c.send(content)
			c.expect("250 ")
		}
	})
}
