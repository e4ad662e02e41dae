package submission

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// TestDialogues sends lines and compares the start of each reply. Each dialogue begins
// after EHLO; those named loggedIn after AUTH. None of them may store a message.
func TestDialogues(t *testing.T) {
	t.Parallel()
	const mail, rcpt = "MAIL FROM:<app@example.com>", "RCPT TO:<bob@example.net>"
	wrong := "AUTH PLAIN " + plainResponse("", testUser, "wrong")
	right := "AUTH PLAIN " + plainResponse("", testUser, testPassword)
	type exchange [2]string
	for _, tc := range []struct {
		name     string
		loggedIn bool
		dialogue []exchange
	}{
		{"nothing without a login", false, []exchange{
			{mail, "530 5.7.0 Authentication required"}, {rcpt, "502 "}, {"DATA", "502 "}, {"NOOP", "250 "}, {"QUIT", "221 "}}},
		{"wrong password, then the right one", false, []exchange{
			{wrong, "535 5.7.8 Authentication credentials invalid"}, {mail, "530 "}, {right, "235 "}, {mail, "250 "}}},
		{"unknown user has the same answer", false, []exchange{
			{"AUTH PLAIN " + plainResponse("", "nobody", "x"), "535 5.7.8 Authentication credentials invalid"}}},
		{"another's identity", false, []exchange{
			{"AUTH PLAIN " + plainResponse("root", testUser, testPassword), "535 5.7.8 Authentication credentials invalid"}, {mail, "530 "}}},
		{"own identity", false, []exchange{{"AUTH PLAIN " + plainResponse(testUser, testUser, testPassword), "235 "}}},
		{"login in steps", false, []exchange{
			{"AUTH LOGIN", "334 VXNlcm5hbWU6"}, {b64(testUser), "334 UGFzc3dvcmQ6"}, {b64(testPassword), "235 "}, {mail, "250 "}}},
		{"malformed response", false, []exchange{{"AUTH PLAIN " + b64("no parts"), "501 5.5.2 "}}},
		{"mechanism not offered", false, []exchange{{"AUTH CRAM-MD5", "504 5.5.4 Mechanism not offered: use one of PLAIN, LOGIN"}}},
		{"cancelled login", false, []exchange{{"AUTH PLAIN", "334 "}, {"*", "501 "}, {right, "235 "}}},
		{"second login", true, []exchange{{right, "503 "}}},
		{"nested MAIL", true, []exchange{{mail, "250 "}, {rcpt, "250 "}, {mail, "503 5.5.1 "}, {"RSET", "250 "}, {mail, "250 "}}},
		{"RSET forgets the recipients", true, []exchange{{mail, "250 "}, {rcpt, "250 "}, {"RSET", "250 "}, {mail, "250 "}, {"DATA", "502 "}}},
		{"EHLO forgets the transaction", true, []exchange{{mail, "250 "}, {rcpt, "250 "}, {"EHLO again.test", "250 "}, {"DATA", "502 "}, {mail, "250 "}}},
		{"a sender that is not the user's", true, []exchange{
			{"MAIL FROM:<app@example.net>", "550 5.7.1 user app.shop may not send as app@example.net: allowed is example.com, by allowedSenders of the RelayUser"},
			{rcpt, "502 "}}},
		{"null sender", true, []exchange{{"MAIL FROM:<>", "550 5.7.1 user app.shop may not send as <>"}}},
		{"sender without domain", true, []exchange{{"MAIL FROM:<app>", "501 "}, {"MAIL FROM:<app@localhost>", "501 5.1.8 "}}},
		{"sender in quotes", true, []exchange{{`MAIL FROM:<"a b"@example.com>`, "553 5.1.7 "}}},
		{"recipient addresses", true, []exchange{
			{mail, "250 "},
			{`RCPT TO:<"victim@evil.example> NOTIFY=NEVER x"@example.com>`, "553 5.1.3 "},
			{`RCPT TO:<"a\"b"@example.net>`, "553 5.1.3 "},
			{"RCPT TO:<a..b@example.net>", "553 5.1.3 "},
			{"RCPT TO:<a@b@example.net>", "553 5.1.3 "},
			{"RCPT TO:<bob@[192.0.2.1]>", "553 5.1.2 "},
			{"RCPT TO:<bob@localhost>", "501 5.1.2 "},
			{"RCPT TO:<bob@example.net.>", "501 5.1.2 "},
			{"RCPT TO:<bob@-x.example>", "501 5.1.2 "},
			{"RCPT TO:<b\x00b@example.net>", "501 5.1.3 "},
			{"RCPT TO:<b\rb@example.net>", "501 5.1.3 "},
			{"RCPT TO:<bob@example.net\r>", "501 5.1.2 "},
			{"RCPT TO:<b\xc3\xb6b@example.net>", "553 5.6.7 "},
			{"DATA", "502 "}}},
		{"recipients that are not allowed", true, []exchange{
			{mail, "250 "}, {rcpt, "250 "},
			{"RCPT TO:<eve@denied.example>", "550 5.7.1 this relay does not send to eve@denied.example: message.recipients of the MailRelay denies it"},
			{"DATA", "354 "}}},
		{"declared size", true, []exchange{
			{mail + " SIZE=65537", "552 5.3.4 The message is too large: the limit is 65536 octets"}, {mail + " SIZE=65536", "250 "}}},
		{"what is not offered", true, []exchange{
			{mail + " REQUIRETLS", "504 "}, {mail + " BODY=BINARYMIME", "504 "}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, func(f *fixture) { f.config.Message.Recipients.Deny = []string{"denied.example"} })
			c := f.connect()
			if tc.loggedIn {
				c.do(right, "235 ")
			}
			for _, x := range tc.dialogue {
				c.do(x[0], x[1])
			}
			if n := len(f.spool.messages()); n != 0 {
				t.Errorf("%d messages stored", n)
			}
			if log := f.log.String(); strings.Contains(log, testPassword) || strings.Contains(log, "wrong") {
				t.Errorf("the log shows a password:\n%s", log)
			}
		})
	}
}

func TestLoginWithinATransactionIsRefused(t *testing.T) {
	t.Parallel()
	s := &session{tx: &transaction{}}
	if _, r := s.startAuth("PLAIN"); r == nil || r.reply.Code != 503 {
		t.Errorf("refusal %+v, want 503", r)
	}
}

func TestTooManyRecipientsLeavesTheFirst(t *testing.T) {
	t.Parallel()
	f := start(t, func(f *fixture) { f.config.Message.MaxRecipients = 2 })
	c := f.login()
	c.do("MAIL FROM:<app@example.com>", "250 ")
	for i := range 40 {
		want := "250 "
		if i >= 2 {
			want = "452 4.5.3 "
		}
		c.do(fmt.Sprintf("RCPT TO:<r%d@example.net>", i), want)
	}
	c.do("DATA", "354 ")
	c.do("Subject: x\r\n\r\n.", "250 ")
	if m := f.spool.messages(); len(m) != 1 || len(m[0].envelope.Recipients) != 2 {
		t.Errorf("stored %+v", m)
	}
}

func TestFailedLoginsEndTheConnection(t *testing.T) {
	t.Parallel()
	for name, try := range map[string]func(*client){
		"wrong": func(c *client) { c.do("AUTH PLAIN "+plainResponse("", testUser, "wrong"), "535 ") },
		"cancelled": func(c *client) {
			c.do("AUTH LOGIN", "334 ")
			c.do("*", "501 ")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t)
			c := f.connect()
			for range maxLogins - 1 {
				try(c)
			}
			c.send("AUTH PLAIN " + plainResponse("", testUser, "wrong") + "\r\n")
			c.expect("421 4.7.0 ")
			c.expectClosed()
			if name == "wrong" && f.value("mailrelay_auth_total", "PLAIN refused") != maxLogins {
				t.Error("the logins were not counted")
			}
			if f.value("mailrelay_messages_refused_total") != 0 {
				t.Error("a login was counted as a message")
			}
		})
	}
}

func TestRemovedUserCannotGoOn(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.login()
	f.users.Replace(nil)
	c.do("MAIL FROM:<app@example.com>", "421 4.7.0 ")
	c.expectClosed()
}

func TestNewSendersCountAtTheNextTransaction(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.login()
	c.do("MAIL FROM:<app@example.net>", "550 ")
	f.setSenders("example.net", "<>")
	c.do("MAIL FROM:<app@example.net>", "250 ")
	c.do("RSET", "250 ")
	c.do("MAIL FROM:<>", "250 ")
}

func TestTroubleBehindIsTemporaryAndTellsNothing(t *testing.T) {
	t.Parallel()
	disk := errors.New("write /secret/path: input/output error")
	low := fmt.Errorf("commit: %w", spool.ErrLowSpace)
	for _, tc := range []struct {
		name   string
		spoil  func(*memorySpool)
		atMail bool
		want   string
	}{
		{"low space at MAIL", func(s *memorySpool) { s.createErr = low }, true, "452 4.3.1 "},
		{"broken at MAIL", func(s *memorySpool) { s.createErr = disk }, true, "451 4.3.0 "},
		{"low space while writing", func(s *memorySpool) { s.writeErr = low }, false, "452 4.3.1 "},
		{"broken while writing", func(s *memorySpool) { s.writeErr = disk }, false, "451 4.3.0 "},
		{"low space at commit", func(s *memorySpool) { s.commitError = low }, false, "452 4.3.1 "},
		{"broken at commit", func(s *memorySpool) { s.commitError = disk }, false, "451 4.3.0 "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, func(f *fixture) { tc.spoil(f.spool) })
			c := f.login()
			var got string
			if tc.atMail {
				got = c.do("MAIL FROM:<app@example.com>", tc.want)
			} else {
				c.begin()
				got = c.do("Subject: x\r\n\r\nbody\r\n.", tc.want)
			}
			if strings.Contains(got, "secret") {
				t.Errorf("the reply tells internals: %s", got)
			}
			if len(f.spool.messages()) != 0 {
				t.Error("the message was stored")
			}
			c.do("NOOP", "250 ")
		})
	}
}

func TestVerifierThatCannotBeUsedIsNoWrongPassword(t *testing.T) {
	t.Parallel()
	f := start(t, func(f *fixture) {
		f.users.Replace(map[string]config.User{"u": {Name: "u", Passwords: []config.Verifier{{Iterations: 1}}}})
	})
	f.connect().do("AUTH PLAIN "+plainResponse("", "u", "p"), "454 4.7.0 ")
	if f.value("mailrelay_auth_total", "PLAIN unavailable") != 1 {
		t.Error("the login was not counted")
	}
}
