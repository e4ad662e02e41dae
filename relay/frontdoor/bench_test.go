package frontdoor

import (
	"bufio"
	"crypto/tls"
	"io"
	"strings"
	"testing"
)

// BenchmarkReply is what each reply of the server costs until it is sent.
func BenchmarkReply(b *testing.B) {
	text := []byte("250 2.0.0 Roger, accepting mail from <app@example.com>\r\n")
	b.ReportAllocs()
	var out []byte
	for b.Loop() {
		lines, _ := splitReply(text)
		r := parseReply(lines)
		_ = correct(&r, "relay.example.com")
		out = r.appendTo(out[:0])
	}
}

// A warm connection of port 465, 4 KiB messages, the body discarded.
func BenchmarkMessages(b *testing.B) {
	h := newHouse(b, nil)
	h.backend.onData = func(_ *Conn, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	}
	message := strings.Repeat(strings.Repeat("x", 74)+"\r\n", 54) + ".\r\n"
	b.SetParallelism(10)
	b.RunParallel(func(pb *testing.PB) {
		conn, err := tls.Dial("tcp", h.smtps, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			b.Error(err)
			return
		}
		c := &client{Conn: conn, t: b, r: bufio.NewReader(conn)}
		defer conn.Close()
		c.expect("220 ")
		c.say("EHLO x", "250 ")
		for pb.Next() {
			c.send("MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n")
			c.expect("250 ")
			c.expect("250 ")
			c.expect("354 ")
			c.send(message)
			c.expect("250 ")
		}
	})
}
