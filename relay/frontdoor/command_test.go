package frontdoor

import (
	"strings"
	"testing"
)

func TestCommandsThatAreNotHandedOver(t *testing.T) {
	t.Parallel()
	const longest = 20
	var inCommand, inLogin, inBody = dialogue{}, dialogue{challenge: true}, dialogue{body: true}
	tests := []struct {
		name, parts string
		d           dialogue
		want        string
	}{
		{"nothing", "", inCommand, ""},
		{"a command", "NOOP\r\n", inCommand, ""},
		{"part of one", "NOO", inCommand, ""},
		{"CRLF that was split", "NOOP\r|\n", inCommand, ""},
		{"bare LF", "NOOP\n", inCommand, replyBareLF},
		{"bare LF by itself", "NOOP|\n", inCommand, replyBareLF},
		{"bare LF in a login", "QQ==\n", inLogin, replyBareLF},
		{"bare LF in a body", "x\n", inBody, ""},
		{"longest line", "NOOP 34567890123456\r\n", inCommand, replyLine},
		{"a byte less", "NOOP 3456789012345\r\n", inCommand, ""},
		{"a long line in parts", strings.Repeat("0123456789|", 3), inCommand, replyLine},
		{"a long line in a login", strings.Repeat("A", 21), inLogin, replySASLLine},
		{"a long line in a body", strings.Repeat("A", 21), inBody, ""},
		{"BDAT", "BDAT 5 LAST\r\n", inCommand, replyBDAT},
		{"BDAT alone", "bdat\r\n", inCommand, replyBDAT},
		{"BDAT byte by byte", "B|D|A|T| ", inCommand, replyBDAT},
		{"BDAT before it is known", "BDAT", inCommand, ""},
		{"a longer word", "BDATA 5\r\n", inCommand, ""},
		{"BDAT is base64", "BDAT\r\n", inLogin, ""},
		{"BDAT in a body", "BDAT 5\r\n", inBody, ""},
	}
	for _, tt := range tests {
		var c command
		c.took([]byte("EHLO x\r\n"))
		c.answered()
		for _, part := range strings.Split(tt.parts, "|") {
			c.took([]byte(part))
		}
		if got := c.fault(&tt.d, longest); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
