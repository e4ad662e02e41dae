package submission

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/test/attack/hostile"
)

func TestNobodyWithoutALoginIsRelayed(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, sender := range append(hostile.Senders, hostile.Address{Address: "app@example.com"}) {
		c := f.connect()
		got := c.do("MAIL FROM:<"+sender.Address+">", "5")
		// Without a domain it is no command of SMTP.
		if !strings.HasPrefix(got, "530 5.7.0 ") && !strings.HasPrefix(sender.Answer, "501 ") {
			t.Errorf("MAIL FROM:<%s>: %q, want 530 5.7.0", sender.Address, got)
		}
		for _, recipient := range []string{"r@evil.test", "r@relay.test", "postmaster"} {
			c.do("RCPT TO:<"+recipient+">", "50")
		}
		c.do("DATA", "50")
	}
	for _, recipient := range hostile.Recipients {
		c := f.connect()
		c.do("MAIL FROM:<app@example.com>", "530 5.7.0 ")
		c.do("RCPT TO:<"+recipient.Address+">", "50")
		c.do("DATA", "50")
	}
	for _, command := range hostile.Commands {
		f.connect().do(command, "50")
	}
	f.storedNothing()
}

func TestNobodyIsRelayedFromASenderOfOthers(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, sender := range hostile.Senders {
		c := f.login()
		c.do("MAIL FROM:<"+sender.Address+">", sender.Answer)
		c.do("RCPT TO:<r@evil.test>", "50")
		c.do("DATA", "50")
	}
	f.storedNothing()
}

func TestAddressesAreNotReadInTwoWays(t *testing.T) {
	t.Parallel()
	f := start(t)
	for n, recipient := range hostile.Recipients {
		c := f.login()
		c.do("MAIL FROM:<app@example.com>", "250 ")
		c.do("RCPT TO:<"+recipient.Address+">", recipient.Answer)
		if !strings.HasPrefix(recipient.Answer, "250 ") {
			c.do("DATA", "50")
			continue
		}
		c.do("DATA", "354 ")
		c.do(fmt.Sprintf("From: app@example.com\r\nSubject: %d\r\n\r\nx\r\n.", n), "250 ")
		messages := f.spool.messages()
		if got := messages[len(messages)-1].envelope.Recipients; len(got) != 1 || got[0].Address != hostile.WithoutRoute(recipient.Address) {
			t.Errorf("%s was stored as %v", recipient.Address, got)
		}
	}
}

func TestNothingGetsAroundTheRecipientLists(t *testing.T) {
	t.Parallel()
	f := start(t, func(f *fixture) {
		f.config.Message.Recipients = config.Recipients{Allow: []string{"allowed.example"}, Deny: []string{"vip@allowed.example"}}
	})
	for _, recipient := range append(hostile.Recipients, hostile.Address{Address: "VIP@Allowed.example", Answer: "250 "}) {
		c := f.login()
		c.do("MAIL FROM:<app@example.com>", "250 ")
		answer := recipient.Answer
		if answer == "250 " {
			answer = "550 5.7.1 this relay does not send to "
		}
		c.do("RCPT TO:<"+recipient.Address+">", answer)
		c.do("DATA", "50")
	}
	f.storedNothing()
	c := f.login()
	c.do("MAIL FROM:<app@example.com>", "250 ")
	c.do("RCPT TO:<bob@ALLOWED.example>", "250 ")
}

// TestNothingGetsAroundADenyListInOtherCharacters: what an upstream may map to a denied domain
// is either refused as that domain or no domain at all.
func TestNothingGetsAroundADenyListInOtherCharacters(t *testing.T) {
	t.Parallel()
	f := start(t, func(f *fixture) {
		f.config.Message.Recipients = config.Recipients{Deny: []string{"evil.example", "xn--bcher-kva.example", "*.xn--bcher-kva.example"}}
	})
	c := f.login()
	c.do("MAIL FROM:<app@example.com> SMTPUTF8", "250 ")
	const denied, noDomain = "550 5.7.1 this relay does not send to ", "501 5.1.2 "
	for _, recipient := range []struct{ domain, answer string }{
		{"EVIL.example", denied},
		{"bücher.example", denied},
		{"BüCHER.example", denied},
		{"XN--BCHER-KVA.example", denied},
		{"mail.bücher.example", denied},
		{"ｅvil.example", noDomain},
		{"ｅｖｉｌ.ｅｘａｍｐｌｅ", noDomain},
		{"evil。example", noDomain},
		{"ev\u034fil.example", noDomain},
		{"ev\u00adil.example", noDomain},
		{"e\ufe00vil.example", noDomain},
		{"b\u00dccher.example", noDomain},
		{"bu\u0308cher.example", noDomain},
	} {
		c.do("RCPT TO:<r@"+recipient.domain+">", recipient.answer)
	}
	c.do("DATA", "50")
	f.storedNothing()
	c.do("RCPT TO:<r@bücherei.example>", "250 ")
}

func (f *fixture) storedNothing() {
	f.t.Helper()
	if n := len(f.spool.messages()); n != 0 {
		f.t.Errorf("%d messages stored", n)
	}
}
