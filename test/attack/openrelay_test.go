//go:build attack

package attack

import (
	"net/mail"
	"slices"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/test/attack/hostile"
)

// TestOpenRelay tries to send as, and to, whom the relay does not allow.
func TestOpenRelay(t *testing.T) {
	heading("Open relay", "mail without a login, as somebody else, or to whom the relay does not send")
	u := newUpstream(t)
	r := start(t, u)
	for _, port := range ports {
		launch(t, "senders without a login on "+port, func(a *attack) { r.withoutLogin(a, port) })
		launch(t, "recipients without a login on "+port, func(a *attack) {
			for _, recipient := range hostile.Recipients {
				c := r.open(a, port, 0)
				c.say("MAIL FROM:<app@example.com>")
				a.answered(recipient.Address, c.say("RCPT TO:<"+recipient.Address+">"), "50")
				a.refusesContent(c)
			}
		})
	}
	launch(t, "other commands without a login", func(a *attack) {
		for _, command := range hostile.Commands {
			a.answered(command, r.open(a, "465", 0).say(command), "50", "530")
		}
	})
	launch(t, "envelope senders of others, logged in", func(a *attack) {
		for _, sender := range hostile.Senders {
			c := r.login(a, "587", "app.shop", 0)
			a.answered(sender.Address, c.say("MAIL FROM:<"+sender.Address+">"), sender.Answer)
			a.refusesContent(c)
		}
	})
	launch(t, "header senders of others, logged in", func(a *attack) { r.forgeHeaders(a) })
	launch(t, "header senders of others behind a line that is no field, which ends the header", func(a *attack) {
		r.endHeaders(a)
		commands, bodies := u.waitFor(a, len(endedHeaders))
		a.honest(commands)
		if len(bodies) != len(endedHeaders) {
			a.breach("the provider got %d messages", len(bodies))
		}
		for _, body := range bodies {
			m, err := mail.ReadMessage(strings.NewReader(body))
			if err != nil || !slices.Equal(m.Header["From"], []string{"app@example.com"}) {
				a.breach("a reader of %q sees another sender: %v", body, err)
			}
		}
	})
	launch(t, "recipients that are written in strange ways, logged in", func(a *attack) {
		u := newUpstream(a.T)
		start(a.T, u).strangeRecipients(a, u)
	})
	allowed := start(t, u, func(c *config.Config) { c.Message.Recipients = config.Recipients{Allow: []string{"allowed.example"}} })
	launch(t, "the same recipients, when only allowed.example is", func(a *attack) {
		for _, recipient := range hostile.Recipients {
			c := allowed.login(a, "465", "app.shop", 0)
			c.expect(a, "MAIL FROM:<app@example.com>", "250 ")
			want := recipient.Answer
			if want == "250 " {
				want = "550 5.7.1"
			}
			a.answered(recipient.Address, c.say("RCPT TO:<"+recipient.Address+">"), want)
			a.refusesContent(c)
		}
	})
}

// refusesContent wants no 354.
func (a *attack) refusesContent(c *client) {
	a.Helper()
	if reply := c.say("DATA"); strings.HasPrefix(reply, "354") {
		a.breach("a message is asked for: %q", reply)
	}
}

func (r *relay) withoutLogin(a *attack, port string) {
	for _, sender := range append(slices.Clone(hostile.Senders), hostile.Address{Address: "app@example.com"}) {
		c := r.open(a, port, 0)
		a.answered(sender.Address, c.say("MAIL FROM:<"+sender.Address+">"), "530 5.7.0", "501 ")
		c.say("RCPT TO:<r@evil.test>")
		a.refusesContent(c)
	}
}

// forgedHeaders are senders that the user app.shop is not, in ways that a reader, but maybe not
// a relay, takes for them.
var forgedHeaders = []string{
	"From: boss@evil.test",
	"From: boss@EVIL.test",
	"FROM: boss@evil.test",
	"From : boss@evil.test",
	"From:\r\n boss@evil.test",
	"From: app@example.com\r\nFrom: boss@evil.test",
	"From: app@example.com\r\nFrom: app@example.com",
	"From: boss@evil.test\r\nFrom: app@example.com",
	"From: app@example.com, boss@evil.test",
	"From: boss@evil.test, app@example.com",
	"From: app@example.com <boss@evil.test>",
	"From: \"app@example.com\" <boss@evil.test>",
	"From: <boss@evil.test> <app@example.com>",
	"From: app@example.com (a comment) <boss@evil.test>",
	"From: group: boss@evil.test;",
	"From: group: app@example.com;, boss@evil.test",
	"From: =?utf-8?q?app=40example=2Ecom?= <boss@evil.test>",
	"From: =?utf-8?q?boss=40evil=2Etest?=",
	"From: app@example.com@evil.test",
	"From: boss@evil.test\x00@example.com",
	"From: \"boss@evil.test\"@example.com",
	"From: boss@\u0435xample.com",
	"From: app@example.com\r\nSender: boss@evil.test",
	"From: app@example.com\r\nResent-From: boss@evil.test\r\nFrom: boss@evil.test",
	"X: y\r\n\tz\r\nFrom: boss@evil.test",
}

// endedHeaders have a line that is no field before the sender.
var endedHeaders = []string{
	" From: boss@evil.test",
	"Received: x\r\nno field\r\nFrom: boss@evil.test",
	"Subject: x\r\n\r\nFrom: boss@evil.test",
}

func (r *relay) forgeHeaders(a *attack) {
	s := &sender{relay: r, port: "587"}
	for _, header := range forgedHeaders {
		reply := s.client(a).submit(a, header+"\r\nSubject: forged\r\n\r\nforged")
		a.answered(header, reply, "550 5.7.1", "554 5.6.0")
		s.c = nil
	}
}

func (r *relay) endHeaders(a *attack) {
	for _, header := range endedHeaders {
		reply := r.login(a, "465", "app.shop", 0).submit(a, header+"\r\nTo: bob@example.net\r\n\r\nmeant to arrive")
		a.answered(header, reply, "250 ")
	}
}

// strangeRecipients sends to all that are accepted. Each must reach the provider as the address
// that it is.
func (r *relay) strangeRecipients(a *attack, u *upstream) {
	var want []string
	for _, recipient := range hostile.Recipients {
		c := r.login(a, "465", "app.shop", 0)
		c.expect(a, "MAIL FROM:<app@example.com>", "250 ")
		a.answered(recipient.Address, c.say("RCPT TO:<"+recipient.Address+">"), recipient.Answer)
		if recipient.Answer != "250 " {
			a.refusesContent(c)
			continue
		}
		c.expect(a, "DATA", "354 ")
		c.expect(a, "From: app@example.com\r\n\r\nmeant to arrive\r\n.", "250 ")
		want = append(want, "RCPT TO:<"+hostile.WithoutRoute(recipient.Address)+">")
	}
	commands, _ := u.waitFor(a, len(want))
	for _, command := range commands {
		if strings.HasPrefix(command, "RCPT ") && !slices.Contains(want, command) {
			a.breach("the provider was sent %q", command)
		}
	}
}
