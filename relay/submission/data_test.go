package submission

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/message"
)

// wireEnd is the end of data.
const wireEnd = "\r\n.\r\n"

func TestContentThatIsRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, content string
		want          string
		closes        bool
	}{
		{"NUL", "Subject: x\r\n\r\na\x00b", "554 5.6.0 The message has a NUL", false},
		{"bare CR", "Subject: x\r\n\r\na\rb", "554 5.6.0 The message has a bare CR", true},
		{"bare CR in the header", "Subject: x\rFrom: y\r\n\r\n", "554 5.6.0 The message has a bare CR", true},
		{"large header", strings.Repeat("X: "+strings.Repeat("y", 900)+"\r\n", 300), "554 5.6.0 The header is larger", false},
		{"many fields", strings.Repeat("a:\r\n", message.MaxHeaderFields+1) + "\r\n", "554 5.6.0 The message has more than 1000 header fields", false},
		{"Bcc behind a broken line", "Subject: x\r\nsecond line\r\nBcc: b@example.com\r\n\r\n", "554 5.6.0 The header has a line that is no header field", false},
		{"long line in a signed part", "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n" + strings.Repeat("x", 999) + "\r\n--b--\r\n", "554 5.6.0 The message cannot be sent on: a signed part has a line", false},
		{"header line that cannot be folded", "X: " + strings.Repeat("x", 999) + "\r\n\r\n", "554 5.6.0 The message cannot be sent on: the message has a line", false},
		{"loop", strings.Repeat("Received: x\r\n", message.MaxReceived+1) + "\r\n", "554 5.4.6 ", false},
		{"loop through this relay", strings.Repeat("Received: from a by relay.test with ESMTPSA id 01jds5qmg0abcdefghjk; x\r\n", message.MaxPasses+1) + "\r\n",
			"554 5.4.6 The message was here 4 times before", false},
		{"From of somebody else", "From: boss@example.org\r\n\r\n", "550 5.7.1 user app.shop may not send as boss@example.org in the From header field: allowed is example.com, by ", false},
		{"second From", "From: app@example.com\r\nFrom: boss@example.org\r\n\r\n", "554 5.6.0 the message has 2 From header fields", false},
		{"second address", "From: app@example.com, boss@example.org\r\n\r\n", "550 5.7.1 ", false},
		{"From that is no list", "From: app@example.com boss@example.org\r\n\r\n", "554 5.6.0 ", false},
		{"Sender of somebody else", "From: app@example.com\r\nSender: boss@example.org\r\n\r\n", "550 5.7.1 ", false},
		{"too large", "Subject: x\r\n\r\n" + strings.Repeat("x\r\n", 30_000), "552 5.3.4 ", false},
		{"much too large", "Subject: x\r\n\r\n" + strings.Repeat("x\r\n", 100_000), "552 5.3.4 ", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, func(f *fixture) {
				if tc.name == "large header" {
					f.config.Message.MaxSize = 1 << 20
				}
			})
			c := f.login()
			c.begin()
			// The server may close before it has all.
			_, _ = io.WriteString(c.conn, tc.content+wireEnd)
			c.expect(tc.want)
			if n := len(f.spool.messages()); n != 0 {
				t.Errorf("%d messages stored", n)
			}
			if tc.closes {
				c.expectClosed()
				return
			}
			c.begin()
			c.do("From: app@example.com\r\n\r\nfine\r\n.", "250 2.0.0 Ok: queued as ")
			if f.value("mailrelay_messages_refused_total") != 1 {
				t.Error("the refusal was not counted")
			}
		})
	}
}

func TestSendersAreMendedAndThenChecked(t *testing.T) {
	t.Parallel()
	f := start(t, func(f *fixture) {
		f.config.Message.QualifyDomain = "example.com"
		f.config.Message.Rewrite = []config.Rewrite{
			{Match: "old.example", To: "example.com"},
			{Match: "boss@example.net", To: "boss@example.org"},
		}
	})
	c := f.login()
	for _, sender := range []string{"www-data@pod-abc", "www-data@old.example"} {
		c.do("MAIL FROM:<"+sender+">", "250 ")
		c.do("RCPT TO:<bob@example.net>", "250 ")
		c.do("DATA", "354 ")
		c.do("From: Web <"+sender+">\r\nReply-To: customer@old.example, root\r\n\r\nx\r\n.", "250 ")
	}
	for _, m := range f.spool.messages() {
		if m.envelope.ReversePath != "www-data@example.com" ||
			!strings.Contains(m.content, "\r\nFrom: Web <www-data@example.com>\r\nReply-To: customer@old.example, root@example.com\r\n") {
			t.Errorf("sender %s, content %q", m.envelope.ReversePath, m.content)
		}
	}
	c.begin()
	c.do("From: app@example.com <app@example.com>\r\n\r\nx\r\n.", "250 ")
	if m := f.spool.messages(); !strings.Contains(m[len(m)-1].content, "\r\nFrom: \"app@example.com\" <app@example.com>\r\n") {
		t.Errorf("a display name that needs quotes: content %q", m[len(m)-1].content)
	}
	// A rule gives nobody the right to its new address.
	c.do("MAIL FROM:<boss@example.net>", "550 5.7.1 user app.shop may not send as boss@example.org")
	c.begin()
	c.do("From: boss@example.net\r\n\r\nx\r\n.", "550 5.7.1 user app.shop may not send as boss@example.org in the From header field")
}

func TestMissingFrom(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, setting, sender, from, want, added string }{
		{"added", config.MissingFromAdd, "app@example.com", "", "250 ", "\r\nFrom: app@example.com\r\n"},
		{"empty one replaced", config.MissingFromAdd, "app@example.com", "From:\r\n", "250 ", "\r\nFrom: app@example.com\r\n"},
		{"refused", config.MissingFromRefuse, "app@example.com", "", "554 5.6.0 The message has no From", ""},
		{"null sender", config.MissingFromAdd, "", "", "554 5.6.0 The message has no From", ""},
		{"null sender with From", config.MissingFromAdd, "", "From: app@example.com\r\n", "250 ", "From: app@example.com\r\n"},
	} {
		f := start(t, func(f *fixture) {
			f.setSenders("example.com", "<>")
			f.config.Message.MissingFrom = tc.setting
		})
		c := f.login()
		c.do("MAIL FROM:<"+tc.sender+">", "250 ")
		c.do("RCPT TO:<bob@example.net>", "250 ")
		c.do("DATA", "354 ")
		c.do(tc.from+"Subject: s\r\n\r\nx\r\n.", tc.want)
		if m := f.spool.messages(); tc.added != "" && !strings.Contains(m[0].content, tc.added) {
			t.Errorf("%s: content %q", tc.name, m[0].content)
		}
	}
}

func TestHeaderFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	f := start(t, func(f *fixture) {
		f.config.Message.ReceivedUser = true
		f.config.Message.DropHeaders = []string{"X-Mailer"}
	})
	c := f.login()
	c.begin()
	c.do("X-Mailer: y\r\nAuthentication-Results: relay.test; dkim=pass\r\nSubject: s\r\n\r\nx\r\n.", "250 ")
	m := f.spool.messages()[0].content
	if !strings.Contains(m, "\r\n\t(authenticated as app.shop)\r\n") || strings.Contains(m, "X-Mailer") || strings.Contains(m, "dkim=pass") {
		t.Errorf("content %q", m)
	}
}

func TestSizeLimitIsExact(t *testing.T) {
	t.Parallel()
	const limit = 1000
	f := start(t, func(f *fixture) { f.config.Message.MaxSize = limit })
	c := f.login()
	for size, want := range map[int]string{limit - 1: "250 ", limit: "250 ", limit + 1: "552 5.3.4 "} {
		c.begin()
		content := "Subject: x\r\n\r\n"
		content += strings.Repeat("y", size-len(content)-len("\r\n"))
		c.send(content + wireEnd)
		c.expect(want)
	}
	if n := len(f.spool.messages()); n != 2 {
		t.Errorf("%d messages stored, want 2", n)
	}
}

func TestAnySenderMayHaveAnyFrom(t *testing.T) {
	t.Parallel()
	f := start(t, func(f *fixture) { f.setSenders("*") })
	c := f.login()
	for from, want := range map[string]string{
		"From: anybody@example.org": "250 ", "X: none": "250 ", "From: no list at all": "554 5.6.0 ",
	} {
		c.begin()
		c.do(from+"\r\n\r\nx\r\n.", want)
	}
}

func TestLongLinesPass(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.login()
	c.begin()
	line := strings.Repeat("x", 40_000)
	c.do("Subject: x\r\n\r\n"+line+"\r\n.", "250 ")
	if m := f.spool.messages(); len(m) != 1 || !strings.HasSuffix(m[0].content, "\r\n\r\n"+line+"\r\n") {
		t.Error("the line did not pass unaltered")
	} else if !m[0].envelope.LongLines {
		t.Error("the envelope does not tell of it")
	}
}

func TestSMTPUTF8OnlyWhereNeeded(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, parameter, recipient, subject string
		utf8, eightBit                      bool
	}{
		{"asked without need", " SMTPUTF8", "bob@example.net", "plain", false, false},
		{"recipient", " SMTPUTF8", "b\u00f6b@example.net", "plain", true, false},
		{"recipient and header", " SMTPUTF8", "b\u00f6b@example.net", "gr\u00fc\u00dfe", true, true},
		{"header that is written in encoded words", " SMTPUTF8", "bob@example.net", "gr\u00fc\u00dfe", false, false},
		{"other header", " SMTPUTF8", "bob@example.net", "plain\r\nX-Name: J\u00f6rg", true, true},
		{"other header without asking", "", "bob@example.net", "plain\r\nX-Name: J\u00f6rg", false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := start(t)
			c := f.login()
			c.do("MAIL FROM:<app@example.com>"+tc.parameter, "250 ")
			c.do("RCPT TO:<"+tc.recipient+">", "250 ")
			c.do("DATA", "354 ")
			c.do("Subject: "+tc.subject+"\r\n\r\nbody\r\n.", "250 ")
			m := f.spool.messages()[0]
			if m.envelope.SMTPUTF8 != tc.utf8 || m.envelope.EightBit != tc.eightBit {
				t.Errorf("envelope %+v", m.envelope)
			}
			if strings.Contains(m.content, "with UTF8SMTPSA ") != tc.utf8 {
				t.Errorf("content %q", m.content)
			}
			if strings.Contains(m.content, "Subject: gr\u00fc\u00dfe") && !tc.utf8 {
				t.Errorf("a subject that needs SMTPUTF8: %q", m.content)
			}
		})
	}
}

func TestPipelinedTransactions(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.login()
	const n = 20
	commands := "MAIL FROM:<app@example.com>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n"
	for range n {
		c.send(commands)
		c.expect("250 ")
		c.expect("250 ")
		c.expect("354 ")
		// The next transaction does not wait for the reply to this one.
		c.send("Subject: x\r\n\r\nx" + wireEnd + commands)
		c.expect("250 2.0.0 Ok: queued as ")
		c.expect("250 ")
		c.expect("250 ")
		c.expect("354 ")
		c.send("Subject: y\r\n\r\ny" + wireEnd)
		c.expect("250 2.0.0 Ok: queued as ")
	}
	if m := f.spool.messages(); len(m) != 2*n {
		t.Errorf("%d messages stored, want %d", len(m), 2*n)
	}
}

func TestBDATIsRefused(t *testing.T) {
	t.Parallel()
	for name, chunks := range map[string][]string{
		"one":          {"BDAT 14 LAST\r\nSubject: x\r\n\r\n"},
		"empty last":   {"BDAT 0 LAST\r\n"},
		"many":         {"BDAT 7\r\nSubject", "BDAT 7 LAST\r\n: x\r\n\r\n"},
		"with command": {"BDAT 42\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t)
			c := f.login()
			c.do("MAIL FROM:<app@example.com>", "250 ")
			c.do("RCPT TO:<bob@example.net>", "250 ")
			for _, chunk := range chunks {
				c.send(chunk)
				c.expect("502 5.5.1 ")
			}
			c.do("NOOP", "250 ")
			if n := len(f.spool.messages()); n != 0 {
				t.Errorf("%d messages stored", n)
			}
		})
	}
}

func TestCutBodyNeverCommits(t *testing.T) {
	t.Parallel()
	f := start(t)
	const content = "From: app@example.com\r\n\r\nline\r\n.\r" // one octet short of its end
	for cut := range len(content) + 1 {
		for _, orderly := range []bool{true, false} {
			c := f.login()
			c.begin()
			c.send(content[:cut])
			if orderly {
				_ = c.conn.Close() // says close_notify
			} else {
				_ = c.conn.NetConn().Close()
			}
		}
	}
	deadline := time.Now().Add(10 * time.Second)
	for f.value("mailrelay_messages_refused_total", reasonInterrupted) < 2*float64(len(content)+1) {
		if time.Now().After(deadline) {
			t.Fatal("the server has not noticed every cut")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if m := f.spool.messages(); len(m) != 0 {
		t.Errorf("%d messages stored: %q", len(m), m[0].content)
	}
}

func TestAcceptedMessageIsOneLogLine(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]string{
		config.RecipientsFull:   `"recipients":["bob@example.net"]`,
		config.RecipientsDomain: `"recipients":["example.net"]`,
		config.RecipientsHash:   `"recipients":["` + config.FormatRecipient(config.RecipientsHash, "bob@example.net") + `"]`,
	} {
		f := start(t, func(f *fixture) { f.config.Logging.Recipients = mode })
		c := f.login()
		c.begin()
		c.do("Message-ID: <m@example.com>\r\n\r\nsecret body\r\n.", "250 ")
		log := f.log.String()
		line := ""
		for _, l := range strings.Split(log, "\n") {
			if strings.Contains(l, `"msg":"accepted"`) {
				line += l
			}
		}
		for _, part := range []string{
			want, `"queue_id":"id2"`, `"message_id":"<m@example.com>"`, `"user":"app.shop"`, `"sender":"app@example.com"`,
			`"size":`, `"tls":"TLS1.3 TLS_`, `"client":"127.0.0.1"`, `"service":"submissions"`, `"duration":`,
		} {
			if strings.Count(line, part) != 1 {
				t.Errorf("%s: the line has not one %s:\n%s", mode, part, line)
			}
		}
		if strings.Contains(log, "secret body") || strings.Contains(log, testPassword) {
			t.Errorf("the log shows too much:\n%s", log)
		}
	}
}
