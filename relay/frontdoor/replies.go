package frontdoor

import (
	"bytes"
	"strings"
)

// replyRow replaces a reply of go-smtp that has the wrong code, says nothing or repeats
// what the client sent.
type replyRow struct {
	prefix, suffix string // of go-smtp's line, without CRLF
	instead        string
}

// replyTable is for go-smtp v0.25.1; a test makes that version say every row.
var replyTable = []replyRow{
	{"502 5.5.1 Please introduce yourself first.", "", "503 5.5.1 Send EHLO first"},
	{"502 5.5.1 Missing MAIL FROM command.", "", "503 5.5.1 Send MAIL first"},
	{"502 5.5.1 Missing RCPT TO command.", "", "503 5.5.1 Send RCPT first"},
	{"502 5.5.1 TLS not supported", "", "503 5.5.1 TLS is already active"},
	{"502 5.5.4 Missing parameter", "", "501 5.5.4 Name a mechanism after AUTH"},
	{"501 5.5.2 Was expecting MAIL arg syntax of FROM:<address>", "", "501 5.5.4 Write MAIL FROM:<address>"},
	{"501 5.5.2 Was expecting RCPT arg syntax of TO:<address>", "", "501 5.5.4 Write RCPT TO:<address>"},
	{"501 5.5.2 Domain/address argument required for HELO", "", "501 5.5.4 EHLO needs a host name"},
	{"500 5.5.4 Unknown MAIL FROM argument", "", "555 5.5.4 MAIL parameter not recognised"},
	{"500 5.5.4 Unknown RCPT TO argument", "", "555 5.5.4 RCPT parameter not recognised"},
	{"504 5.5.4 ", " is not implemented", "555 5.5.4 Parameter not supported"},
	{"500 5.5.4 Malformed AUTH parameter", "", "501 5.5.4 Malformed AUTH parameter"},
	{"454 4.7.0 Invalid base64 data", "", "501 5.5.2 That is not base64"},
	{"501 5.0.0 Negotiation cancelled", "", "501 5.7.0 Authentication cancelled"},
	{"235 2.0.0 Authentication succeeded", "", "235 2.7.0 Authentication succeeded"},
	{"500 5.5.2 Syntax errors, ", " command unrecognized", "500 5.5.1 Command not recognised"},
	{"501 5.5.2 Bad command", "", "500 5.5.2 Command not recognised"},
	{"500 5.5.1 Too many errors. Quiting now", "", "421 4.7.0 Too many errors"},
	{"421 4.0.0 Internal server error", "", "421 4.3.0 Internal error, try again"},
	{"250 2.0.0 Roger, accepting mail from ", "", "250 2.1.0 Ok"},
	{"250 2.0.0 I'll make sure ", " gets this", "250 2.1.5 Ok"},
	{"250 2.0.0 I have successfully done nothing", "", "250 2.0.0 Ok"},
	{"252 2.5.0 Cannot VRFY user, but will accept message", "", "252 2.5.0 Send the message and see"},
}

// rewrite puts a whole reply right. hostname is ours.
func rewrite(reply []byte, hostname string) []byte {
	text := strings.TrimSuffix(string(reply), "\r\n")
	if strings.HasPrefix(text, "250-Hello ") {
		return []byte(helloReply(text, hostname))
	}
	if strings.HasPrefix(text, "250 2.0.0 Hello ") {
		return []byte("250 " + hostname + "\r\n")
	}
	for _, row := range replyTable {
		if strings.HasPrefix(text, row.prefix) && strings.HasSuffix(text, row.suffix) {
			return []byte(row.instead + "\r\n")
		}
	}
	return reply
}

// helloReply names us instead of the client and leaves out what is not offered: a chunk
// that was cut off would be taken for a whole message (RFC 3030).
func helloReply(text, hostname string) string {
	lines := []string{hostname}
	for _, line := range strings.Split(text, "\r\n")[1:] {
		if keyword := line[min(4, len(line)):]; keyword != "CHUNKING" {
			lines = append(lines, keyword)
		}
	}
	var reply strings.Builder
	for i, line := range lines {
		separator := "-"
		if i == len(lines)-1 {
			separator = " "
		}
		reply.WriteString("250" + separator + line + "\r\n")
	}
	return reply.String()
}

// replyEnd is the length of the first whole reply in b, or -1. The last line of a reply
// has a space after its code (RFC 5321 §4.2.1).
func replyEnd(b []byte) int {
	for start := 0; ; {
		n := bytes.IndexByte(b[start:], '\n')
		if n < 0 {
			return -1
		}
		line := b[start : start+n+1]
		start += n + 1
		if len(line) < 4 || line[3] != '-' {
			return start
		}
	}
}
