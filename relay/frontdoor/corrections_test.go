package frontdoor

import (
	"io"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
)

// again, in a dialogue, waits for another reply without a word.
const again = "(again)"

// rowTests make the pinned go-smtp say every row of corrections. The last reply of each
// dialogue is the one that is checked; lines are separated by
// "|".
var rowTests = []struct {
	dialogue string
	want     string
	setup    func(*smtp.Server)
}{
	{"", "220 relay.test ESMTP", nil},
	{"HELO client.test", "250 relay.test", nil},
	{"EHLO", "501 5.5.4 EHLO and HELO need your domain or address literal", nil},
	{"NOOP", "250 2.0.0 OK", nil},
	{"RSET", "250 2.0.0 OK", nil},
	{"EHLO x|MAIL FROM:<a@b.test>", "250 2.1.0 Sender OK", nil},
	{"EHLO x|MAIL FROM:<a@b.test>|RCPT TO:<c@d.test>", "250 2.1.5 Recipient OK", nil},
	{"EHLO x|AUTH PLAIN AGEAYg==", "235 2.7.0 Authentication succeeded", nil},
	{"QUIT", "221 2.0.0 relay.test closing connection", nil},

	{"MAIL FROM:<a@b.test>", "503 5.5.1 Send EHLO first", nil},
	{"AUTH PLAIN", "503 5.5.1 Send EHLO first", nil},
	{"EHLO x|RCPT TO:<a@b.test>", "503 5.5.1 Send MAIL first", nil},
	{"EHLO x|MAIL FROM:<a@b.test>|DATA", "503 5.5.1 No recipient was accepted: send RCPT first", nil},
	{"EHLO x|STARTTLS", "503 5.5.1 TLS is already active", nil},

	{"FROB now", "500 5.5.1 Command not recognized", nil},
	{"NOOP\tnow", "500 5.5.1 Command not recognized", nil},
	{"\r", "500 5.5.2 Empty command", nil},
	{"EHLO x|MAIL a@b.test", "501 5.1.7 Syntax: MAIL FROM:<user@domain>", nil},
	{"EHLO x|MAIL FROM:<a@b.test>|RCPT c@d.test", "501 5.1.3 Syntax: RCPT TO:<user@domain>", nil},
	{"EHLO x|MAIL FROM:<a@b.test>|RCPT TO:<postmaster>", "501 5.1.3 Syntax: RCPT TO:<user@domain>", nil},
	{"EHLO x|MAIL FROM:<a@b.test> SIZE=9223372036854775808", "501 5.5.4 SIZE must be a number below 4294967296", nil},
	{"HELP", "214 2.0.0 Send mail by EHLO, AUTH, MAIL, RCPT, DATA and QUIT", nil},
	{"NOOP ", "500 5.5.1 Command not recognized", nil},
	{"VRFY somebody", "252 2.5.0 Cannot verify, send the message and see", nil},

	{"EHLO x|MAIL FROM:<a@b.test> FOO=1", "555 5.5.4 Unknown parameter of MAIL", nil},
	{"EHLO x|MAIL FROM:<a@b.test>|RCPT TO:<c@d.test> FOO=1", "555 5.5.4 Unknown parameter of RCPT", nil},
	{"EHLO x|MAIL FROM:<a@b.test> SMTPUTF8", "555 5.5.4 SMTPUTF8 is not implemented", nil},
	{"EHLO x|MAIL FROM:<a@b.test> REQUIRETLS", "555 5.5.4 REQUIRETLS is not implemented", nil},
	{"EHLO x|MAIL FROM:<a@b.test>|RCPT TO:<c@d.test> NOTIFY=NEVER", "555 5.5.4 NOTIFY is not implemented", nil},
	{"EHLO x|MAIL FROM:<a@b.test> AUTH=+", "501 5.5.4 Malformed AUTH parameter of MAIL", nil},
	{"EHLO x|MAIL FROM:<a@b.test> RET=SOME", "501 5.5.4 RET must be FULL or HDRS", withDSN},
	{"EHLO x|MAIL FROM:<a@b.test> ENVID=+0D", "501 5.5.4 ENVID must be printable characters in xtext: write + as +2B and = as +3D", withDSN},
	{"EHLO x|MAIL FROM:<a@b.test>|RCPT TO:<c@d.test> NOTIFY=NEVER,DELAY",
		"501 5.5.4 NOTIFY must be NEVER, or some of SUCCESS, FAILURE and DELAY with commas between", withDSN},
	{"EHLO x|MAIL FROM:<a@b.test>|RCPT TO:<c@d.test> ORCPT=x400;c",
		"501 5.5.4 ORCPT must be rfc822; and an address in xtext, or utf-8; and one as RFC 6533 has it", withDSN},

	{"EHLO x|AUTH", "501 5.5.4 AUTH needs a mechanism", nil},
	{"EHLO x|AUTH PLAIN ?", "501 5.5.2 Invalid base64", nil},
	{"EHLO x|AUTH PLAIN|?", "501 5.5.2 Invalid base64", nil},
	{"EHLO x|AUTH PLAIN|*", "501 5.7.0 Authentication cancelled", nil},
	{"EHLO x|MAIL FROM:<anonymous@b.test>", "530 5.7.0 Authentication required", nil},
	{"EHLO x|AUTH OFF", "502 5.5.1 Authentication is not offered", nil},
	{"EHLO x|AUTH BROKEN", "454 4.7.0 Temporary authentication failure", nil},
	{"EHLO x|AUTH PLAIN", "454 4.7.0 Temporary authentication failure",
		func(s *smtp.Server) { s.AllowInsecureAuth = false }},

	{"EHLO x|MAIL FROM:<a@b.test>|RCPT TO:<c@d.test>|DATA|fail\r\n.", "451 4.3.0 Temporary local problem, try again later", nil},
	{"EHLO x|MAIL FROM:<error@b.test>", "451 4.3.0 Temporary local problem, try again later", nil},
	{"EHLO broken.test", "451 4.3.0 Temporary local problem, try again later", nil},
	{"EHLO x|MAIL FROM:<panic@b.test>", "421 4.3.0 relay.test internal problem, try again later", nil},
	{"FROB|FROB|FROB|FROB|" + again, "421 4.7.0 relay.test too many errors", nil},
}

func withDSN(s *smtp.Server) { s.EnableDSN = true }

func TestEveryCorrectionIsWhatGoSMTPSays(t *testing.T) {
	t.Parallel()
	hit := map[*correction]bool{}
	for _, tt := range rowTests {
		r := lastReply(t, tt.dialogue, tt.setup)
		row := findCorrection(&r)
		if row == nil {
			t.Errorf("%q: no row for %s", tt.dialogue, r.appendTo(nil))
			continue
		}
		hit[row] = true
		correct(&r, hostname)
		if got := strings.TrimSuffix(string(r.appendTo(nil)), "\r\n"); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.dialogue, got, tt.want)
		}
	}
	for i := range corrections {
		if !hit[&corrections[i]] {
			t.Errorf("go-smtp never says %d %s %s", corrections[i].code, corrections[i].enhanced, corrections[i].text)
		}
	}
}

// lastReply has a dialogue with go-smtp itself, without a Door, and returns what it said
// last.
func lastReply(t *testing.T, dialogue string, setup func(*smtp.Server)) reply {
	t.Helper()
	server := newServer(newBackend(), io.Discard)
	if setup != nil {
		setup(server)
	}
	l := listen(t)
	go server.Serve(l)
	defer server.Close()
	c := dial(t, l.Addr().String())
	said := c.expect("")
	for _, line := range strings.FieldsFunc(dialogue, func(r rune) bool { return r == '|' }) {
		if line != again {
			c.send(line + "\r\n")
		}
		said = c.expect("")
	}
	return parseReply(strings.Split(said, "|"))
}

func TestEHLONamesTheRelayAndOffersNoChunking(t *testing.T) {
	t.Parallel()
	tests := []struct{ said, want string }{
		{"250-Hello x|250-CHUNKING|250 SIZE", "250-relay.test greets you\r\n250 SIZE\r\n"},
		{"250-Hello \rx|250-SIZE 9|250 CHUNKING", "250-relay.test greets you\r\n250 SIZE 9\r\n"},
	}
	for _, tt := range tests {
		r := parseReply(strings.Split(tt.said, "|"))
		if correct(&r, hostname) != effectReset {
			t.Errorf("%q does not end a transaction", tt.said)
		}
		if got := string(r.appendTo(nil)); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.said, got, tt.want)
		}
	}
	r := lastReply(t, "EHLO client.test", nil)
	correct(&r, hostname)
	if got := string(r.appendTo(nil)); !strings.HasPrefix(got, "250-relay.test ") || strings.Contains(got, "CHUNKING") || strings.Contains(got, "client.test") {
		t.Errorf("go-smtp's reply to EHLO became %q", got)
	}
}

func TestTheSessionsOwnRepliesStay(t *testing.T) {
	t.Parallel()
	for _, said := range []string{
		"250 2.0.0 Ok: queued as 4711",
		"535 5.7.8 Authentication failed",
		"552 5.3.4 Message too big",
		"452 4.3.1 No space left, try again later",
		"550-First|550 5.7.1 Second",
	} {
		r := parseReply(strings.Split(said, "|"))
		before := string(r.appendTo(nil))
		if correct(&r, hostname); string(r.appendTo(nil)) != before {
			t.Errorf("%q became %q", before, r.appendTo(nil))
		}
	}
}
