package frontdoor

import (
	"slices"
	"strings"
	"testing"
)

// What go-smtp really says is asked here, so that a new version of it cannot slip a reply
// past the table. Each dialogue ends with the reply that is checked.
func TestRepliesOfGoSMTPArePutRight(t *testing.T) {
	t.Parallel()
	tests := []struct{ dialogue, want string }{
		{"MAIL FROM:<a@b.test>", "503 5.5.1 Send EHLO first"},
		{"AUTH PLAIN", "503 5.5.1 Send EHLO first"},
		{"EHLO", "501 5.5.4 EHLO needs a host name"},
		{"HELO x", "250 relay.test"},
		{"EHLO x|RCPT TO:<a@b.test>", "503 5.5.1 Send MAIL first"},
		{"EHLO x|DATA", "503 5.5.1 Send RCPT first"},
		{"EHLO x|STARTTLS", "503 5.5.1 TLS is already active"},
		{"EHLO x|AUTH", "501 5.5.4 Name a mechanism after AUTH"},
		{"EHLO x|AUTH PLAIN ?", "501 5.5.2 That is not base64"},
		{"EHLO x|AUTH PLAIN|*", "501 5.7.0 Authentication cancelled"},
		{"EHLO x|AUTH PLAIN AGEAYg==", "235 2.7.0 Authentication succeeded"},
		{"EHLO x|MAIL a@b.test", "501 5.5.4 Write MAIL FROM:<address>"},
		{"EHLO x|MAIL FROM:<a@b.test> FOO=1", "555 5.5.4 MAIL parameter not recognised"},
		{"EHLO x|MAIL FROM:<a@b.test> SMTPUTF8", "555 5.5.4 Parameter not supported"},
		{"EHLO x|MAIL FROM:<a@b.test> AUTH=+", "501 5.5.4 Malformed AUTH parameter"},
		{"EHLO x|MAIL FROM:<a@b.test>", "250 2.1.0 Ok"},
		{"EHLO x|MAIL FROM:<a@b.test>|RCPT c@d.test", "501 5.5.4 Write RCPT TO:<address>"},
		{"EHLO x|MAIL FROM:<a@b.test>|RCPT TO:<c@d.test> FOO=1", "555 5.5.4 RCPT parameter not recognised"},
		{"EHLO x|MAIL FROM:<a@b.test>|RCPT TO:<c@d.test>", "250 2.1.5 Ok"},
		{"EHLO x|NOOP", "250 2.0.0 Ok"},
		{"EHLO x|VRFY a", "252 2.5.0 Send the message and see"},
		{"EHLO x|FROB now", "500 5.5.1 Command not recognised"},
		{"EHLO x|NOOP " + strings.Repeat("x", 13000), "500 5.5.2 Line too long"},
		{"EHLO x|FOO|FOO|FOO|FOO", "421 4.7.0 Too many errors"},
	}
	h := newHouse(t, nil)
	for _, tt := range tests {
		c := h.dialTLS(t)
		lines := strings.Split(tt.dialogue, "|")
		var got string
		for _, line := range lines {
			got = c.say(line, "")
		}
		if strings.HasPrefix(tt.want, "421") && got != tt.want {
			got = c.expect("")
		}
		if got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.dialogue, got, tt.want)
		}
		c.Close()
	}
}

func TestWholeRepliesAreFound(t *testing.T) {
	t.Parallel()
	tests := []struct {
		written string
		want    int
	}{
		{"", -1},
		{"250 Ok", -1},
		{"250 Ok\r\n", 8},
		{"250-a\r\n", -1},
		{"250-a\r\n250 b\r\n", 14},
		{"250 Ok\r\n354 Go\r\n", 8},
		{"x\r\n", 3},
	}
	for _, tt := range tests {
		if got := replyEnd([]byte(tt.written)); got != tt.want {
			t.Errorf("replyEnd(%q) = %d, want %d", tt.written, got, tt.want)
		}
	}
}

func FuzzPreamble(f *testing.F) {
	f.Add([]byte("EHLO x\r\nSTARTTLS\r\n"))
	f.Add([]byte("STARTTLS x\r\nQUIT\r\n"))
	f.Add([]byte{0x16, 3, 1})
	replies := []string{"220 ", "221 ", "250 ", "250-", "500 ", "501 ", "530 ", "421 "}
	f.Fuzz(func(t *testing.T, line []byte) {
		p := preamble{hostname: hostname}
		startTLS, reply := p.answer(line)
		if !slices.ContainsFunc(replies, func(code string) bool { return strings.HasPrefix(reply, code) }) || !strings.HasSuffix(reply, "\r\n") {
			t.Errorf("%q got the reply %q", line, reply)
		}
		if startTLS && !strings.EqualFold(strings.TrimSpace(string(line)), "STARTTLS") {
			t.Errorf("%q started TLS", line)
		}
	})
}
