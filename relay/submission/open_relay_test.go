package submission

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// relayTestRecipients are what testers of open relays try to make a relay send to evil.test.
// answer is that to a user who may send to anybody: 250 where the address is a plain one, which
// then goes to the upstream as it is and no further, and otherwise why it is none. For a user who
// may send to allowed.example only, each is refused. A source route is taken off, as RFC 5321
// §4.1.1.3 has it, and what is left is judged.
var relayTestRecipients = []struct{ address, answer string }{
	{`r@evil.test`, "250 "},
	{`R@EVIL.TEST`, "250 "},
	{`r%evil.test@relay.test`, "250 "},
	{`r%evil.test@[127.0.0.1]`, "553 5.1.2 "},
	{`"r@evil.test"`, "501 "},
	{`"r%evil.test"`, "501 "},
	{`r@evil.test@relay.test`, "553 5.1.3 "},
	{`r@evil.test@[127.0.0.1]`, "553 5.1.3 "},
	{`"r@evil.test"@relay.test`, "553 5.1.3 "},
	{`"r@evil.test"@[127.0.0.1]`, "553 5.1.3 "},
	{`"r@evil.test"@allowed.example`, "553 5.1.3 "},
	{`@relay.test:r@evil.test`, "250 "},
	{`@[127.0.0.1]:r@evil.test`, "250 "},
	{`@relay.test,@x:r@evil.test`, "250 "},
	{`@allowed.example:r@evil.test`, "250 "},
	{`evil.test!r`, "501 "},
	{`evil.test!r@relay.test`, "250 "},
	{`evil.test!r@[127.0.0.1]`, "553 5.1.2 "},
	{`r@relay.test@evil.test`, "553 5.1.3 "},
	{`r@allowed.example@evil.test`, "553 5.1.3 "},
	{`r%evil.test`, "501 "},
	{`<r@evil.test>@relay.test`, "501 "},
	{`"r@evil.test> NOTIFY=NEVER x"@allowed.example`, "553 5.1.3 "},
	{"r@evil.test\x00@allowed.example", "553 5.1.3 "},
	{"r@allowed.example\r.evil.test", "501 5.1.2 "},
	{`r@allowed.example.`, "501 5.1.2 "},
	{`r@allowed.example.evil.test`, "250 "},
	{`r@evilallowed.example`, "250 "},
	{"r@\u0430llowed.example", "553 5.6.7 "}, // a Cyrillic letter
	{`r@[IPv6:::1]`, "553 5.1.2 "},
	{`postmaster`, "501 "},
}

var relayTestSenders = []struct{ address, answer string }{
	{"", "550 5.7.1 "},
	{"spam@evil.test", "550 5.7.1 "},
	{"spam@relay.test", "550 5.7.1 "},
	{"spam@[127.0.0.1]", "553 5.1.8 "},
	{"spam@localhost", "501 5.1.8 "},
	{"spam", "501 "},
	{"app@example.com@evil.test", "553 5.1.7 "},
	{`"spam@evil.test"@example.com`, "553 5.1.7 "},
	{"app@\u0435xample.com", "553 5.6.7 "}, // a Cyrillic letter
}

func TestNobodyWithoutALoginIsRelayed(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, sender := range append(relayTestSenders, struct{ address, answer string }{address: "app@example.com"}) {
		c := f.connect()
		got := c.do("MAIL FROM:<"+sender.address+">", "5")
		// Without a domain it is no command of SMTP.
		if !strings.HasPrefix(got, "530 5.7.0 ") && !strings.HasPrefix(sender.answer, "501 ") {
			t.Errorf("MAIL FROM:<%s>: %q, want 530 5.7.0", sender.address, got)
		}
		for _, recipient := range []string{"r@evil.test", "r@relay.test", "postmaster"} {
			c.do("RCPT TO:<"+recipient+">", "50")
		}
		c.do("DATA", "50")
	}
	for _, recipient := range relayTestRecipients {
		c := f.connect()
		c.do("MAIL FROM:<app@example.com>", "530 5.7.0 ")
		c.do("RCPT TO:<"+recipient.address+">", "50")
		c.do("DATA", "50")
	}
	for _, command := range []string{
		"DATA", "BDAT 0 LAST", "SEND FROM:<a@b.example>", "SOML FROM:<a@b.example>", "SAML FROM:<a@b.example>", "TURN", "ETRN evil.test", "ATRN",
	} {
		f.connect().do(command, "50")
	}
	f.storedNothing()
}

func TestNobodyIsRelayedFromASenderOfOthers(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, sender := range relayTestSenders {
		c := f.login()
		c.do("MAIL FROM:<"+sender.address+">", sender.answer)
		c.do("RCPT TO:<r@evil.test>", "50")
		c.do("DATA", "50")
	}
	f.storedNothing()
}

func TestAddressesAreNotReadInTwoWays(t *testing.T) {
	t.Parallel()
	f := start(t)
	for n, recipient := range relayTestRecipients {
		c := f.login()
		c.do("MAIL FROM:<app@example.com>", "250 ")
		c.do("RCPT TO:<"+recipient.address+">", recipient.answer)
		if !strings.HasPrefix(recipient.answer, "250 ") {
			c.do("DATA", "50")
			continue
		}
		c.do("DATA", "354 ")
		c.do(fmt.Sprintf("From: app@example.com\r\nSubject: %d\r\n\r\nx\r\n.", n), "250 ")
		messages := f.spool.messages()
		if got := messages[len(messages)-1].envelope.Recipients; len(got) != 1 || got[0].Address != withoutRoute(recipient.address) {
			t.Errorf("%s was stored as %v", recipient.address, got)
		}
	}
}

// withoutRoute is a path without its source route.
func withoutRoute(path string) string {
	if strings.HasPrefix(path, "@") {
		return path[strings.LastIndexByte(path, ':')+1:]
	}
	return path
}

func TestNothingGetsAroundTheRecipientLists(t *testing.T) {
	t.Parallel()
	f := start(t, func(f *fixture) {
		f.config.Message.Recipients = config.Recipients{Allow: []string{"allowed.example"}, Deny: []string{"vip@allowed.example"}}
	})
	for _, recipient := range append(relayTestRecipients, struct{ address, answer string }{"VIP@Allowed.example", "250 "}) {
		c := f.login()
		c.do("MAIL FROM:<app@example.com>", "250 ")
		answer := recipient.answer
		if answer == "250 " {
			answer = "550 5.7.1 this relay does not send to "
		}
		c.do("RCPT TO:<"+recipient.address+">", answer)
		c.do("DATA", "50")
	}
	f.storedNothing()
	c := f.login()
	c.do("MAIL FROM:<app@example.com>", "250 ")
	c.do("RCPT TO:<bob@ALLOWED.example>", "250 ")
}

func (f *fixture) storedNothing() {
	f.t.Helper()
	if n := len(f.spool.messages()); n != 0 {
		f.t.Errorf("%d messages stored", n)
	}
}
