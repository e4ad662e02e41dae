//go:build attack

package attack

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// bound is the memory in MiB that no attack may make the relay take.
const bound = 400

// TestOversize sends too much of everything. The relay must answer, soon, and keep its memory
// within bounds.
func TestOversize(t *testing.T) {
	heading("Oversize", "the relay's memory or time used up by too much of something")
	u := newUpstream(t, func(u *upstream) { u.offer = "250-provider.test\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n" })
	r := start(t, u)
	launch(t, "10 MB without an end of line as a command", func(a *attack) {
		line := strings.Repeat("x", 10_000_000)
		r.flood(a, r.connect(a, "587", 0), line, "500 5.5.2", closed)
		for _, port := range ports {
			r.flood(a, r.open(a, port, 0), line, "500 5.5.2", closed)
			r.flood(a, r.open(a, port, 0), "AUTH LOGIN\r\n"+line, "500 5.5.6", closed)
		}
	})
	launch(t, "a size of 2^63, and others that are none", func(a *attack) {
		for _, size := range []string{"9223372036854775808", "9223372036854775807", "18446744073709551616", "4294967296", "99999999", "-1", "1e9", "0x10", ""} {
			a.answered(size, r.login(a, "465", "app.shop", 0).say("MAIL FROM:<app@example.com> SIZE="+size), "501 5.5.4", "552 5.3.4")
		}
	})
	launch(t, "100,000 recipients", func(a *attack) {
		c := r.login(a, "465", "app.shop", 0)
		c.expect(a, "MAIL FROM:<app@example.com>", "250 ")
		r.repeat(a, c, 100_000, func(n int) string { return fmt.Sprintf("RCPT TO:<r%d@example.net>\r\n", n) })
	})
	for _, command := range []string{"NOOP", "RSET", "EHLO x", "MAIL FROM:<x@example.com>", "nonsense"} {
		launch(t, "a million times "+command, func(a *attack) {
			r.repeat(a, r.login(a, "587", "app.shop", 0), 1_000_000, func(int) string { return command + "\r\n" })
		})
	}
	launch(t, "half a million times NOOP in plaintext before STARTTLS", func(a *attack) {
		r.repeat(a, r.connect(a, "587", 0), 500_000, func(int) string { return "NOOP\r\n" })
	})
	for _, tt := range []struct{ what, content string }{
		{"a body line of 10 MB", "\r\n" + strings.Repeat("x", 10_000_000)},
		{"a body of 20 MB that has to be re-encoded", "\r\n" + strings.Repeat(strings.Repeat("\u00e9", 490)+"\r\n", 20_000)},
		{"a header field of 100 kB without a space", "Subject: " + strings.Repeat("x", 100_000) + "\r\n\r\nx"},
		{"a header field of 100 kB in words", "Subject: " + strings.Repeat("word ", 20_000) + "\r\n\r\nx"},
		{"a header field of 10 MB", "Subject: " + strings.Repeat("word ", 2_000_000) + "\r\n\r\nx"},
		{"100,000 header fields", strings.Repeat("X-A: b\r\n", 100_000) + "\r\nx"},
		{"100,000 lines of one header field", "X-A: b" + strings.Repeat("\r\n c", 100_000) + "\r\n\r\nx"},
		{"10,000 Received fields", strings.Repeat("Received: from a by b; Wed, 1 Jan 2025 00:00:00 +0000\r\n", 10_000) + "\r\nx"},
		{"100,000 addresses in To", "To: a@b.test" + strings.Repeat(",\r\n a@b.test", 100_000) + "\r\n\r\nx"},
		{"100,000 nested comments in Sender", "Sender: " + strings.Repeat("(", 100_000) + strings.Repeat(")", 100_000) + " app@example.com\r\n\r\nx"},
		{"parts nested 1,000 deep", nested(1000)},
		{"parts nested 50,000 deep", nested(50_000)},
		{"10,000 parts", parts(10_000)},
		{"100,000 parts", parts(100_000)},
		{"a boundary of 1 MB", "Content-Type: multipart/mixed; boundary=\"" + strings.Repeat("b", 1<<20) + "\"\r\n\r\n--" + strings.Repeat("b", 1<<20) + "\r\n\r\n\u00e9"},
		{"26 MiB, more than is taken", "\r\n" + strings.Repeat(strings.Repeat("x", 62)+"\r\n", 26<<14)},
	} {
		launch(t, tt.what, func(a *attack) {
			a.figure("after %v", r.submitHuge(a, tt.what, tt.content))
		})
	}
	launch(t, "100 MB after the refusal of a message", func(a *attack) {
		c := r.login(a, "465", "app.shop", 0)
		c.begin(a)
		r.flood(a, c, strings.Repeat(strings.Repeat("x", 998)+"\r\n", 100_000), "552 5.3.4")
	})
	launch(t, "20 messages of 20 MB at once", func(a *attack) {
		var senders sync.WaitGroup
		content := "\r\n" + strings.Repeat(strings.Repeat("x", 998)+"\r\n", 20_000)
		began := time.Now()
		for range 20 {
			senders.Go(func() { r.submitHuge(a, "20 MB", content) })
		}
		senders.Wait()
		a.figure("after %v at most", time.Since(began).Round(time.Millisecond))
	})
	launch(t, "all of it, in the memory of the relay and at the provider", func(a *attack) {
		waitFor(a, "an empty queue", func() bool {
			return r.log.count(`"msg":"accepted"`)+r.log.count(`"msg":"a notification was queued"`) == r.log.count(`"result":"delivered"`)+r.log.count(`"result":"bounced"`)
		})
		commands, bodies := u.captured()
		a.honest(commands)
		for _, body := range bodies {
			for line := range strings.Lines(body) {
				if len(line) > 1001 {
					a.breach("the provider got a line of %d bytes", len(line))
				}
			}
			a.harmless("a message with lines that fit,")
		}
		most := r.memory(t, "VmHWM")
		a.figure("memory was %d MiB at most, is %d MiB", most, r.memory(t, "VmRSS"))
		if most > bound {
			a.breach("the relay took %d MiB, more than %d", most, bound)
		}
	})
}

func (b *buffer) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Count(b.b.Bytes(), []byte(text))
}

// flood sends text that the relay must cut off, and reads its last words.
func (r *relay) flood(a *attack, c *client, text string, wanted ...string) {
	began := time.Now()
	go c.send(text)
	a.answered(fmt.Sprint(len(text), " bytes"), c.lastReply(patience), wanted...)
	if took := time.Since(began); took > 10*time.Second {
		a.Errorf("cut off only after %v", took)
	}
}

// repeat sends a command until the relay ends the session, which it must, and counts.
func (r *relay) repeat(a *attack, c *client, times int, command func(int) string) {
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	go func() {
		for n := range times {
			if _, err := c.Write([]byte(command(n))); err != nil {
				return
			}
		}
	}()
	replies, last := 0, ""
	for {
		reply := c.reply()
		if reply == closed || reply == silent {
			if reply == silent || replies >= times {
				a.breach("the session goes on after %d replies", replies)
				return
			}
			break
		}
		replies++
		last = reply
	}
	a.answered("the last command", last, "421 4.7.0", "500 ", "501 ", "503 ")
	a.figure("after %d replies", replies)
}

// submitHuge sends a message that may be taken or refused, but soon, and returns when.
func (r *relay) submitHuge(a *attack, what, content string) time.Duration {
	c := r.login(a, "465", "app.shop", 0)
	c.begin(a)
	began := time.Now()
	go c.send("From: app@example.com\r\n" + content + "\r\n.\r\n")
	a.answered(what, c.reply(), "250 2.0.0", "552 5.3.4", "554 5.6.0", "554 5.4.6", "550 5.7.1")
	took := time.Since(began).Round(time.Millisecond)
	if took > 20*time.Second {
		a.breach("the answer took %v", took)
	}
	return took
}

// nested is a multipart in a multipart, and so on.
func nested(depth int) string {
	var b strings.Builder
	for n := range depth {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", n, n)
	}
	return b.String() + "\r\n\u00e9"
}

// parts is one multipart of many.
func parts(number int) string {
	return "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\u00e9\r\n", number) + "--b--"
}
