//go:build attack

package attack

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/test/attack/hostile"
)

// sender is a client that is logged in, and logs in again when the relay closed on it.
type sender struct {
	relay *relay
	port  string
	c     *client
}

func (s *sender) client(t testing.TB) *client {
	if s.c == nil {
		s.c = s.relay.login(t, s.port, "app.shop", 0)
	}
	_ = s.c.SetDeadline(time.Now().Add(patience))
	return s.c
}

// TestSmuggling hides a second message behind each sequence that some server takes for the end
// of the first. At the provider there must be one message for each that was accepted.
func TestSmuggling(t *testing.T) {
	heading("SMTP smuggling", "a second message behind what is not the end of the first")
	u := newUpstream(t)
	r := start(t, u)
	accepted := 0
	for _, port := range ports {
		launch(t, fmt.Sprintf("%d sequences that are no end of data, cut at every byte, on %s", len(hostile.NotTheEnd), port), func(a *attack) {
			s := &sender{relay: r, port: port}
			for _, sequence := range hostile.NotTheEnd {
				for _, parts := range hostile.Cuts(sequence) {
					accepted += s.smuggle(a, sequence, parts)
				}
			}
		})
		launch(t, fmt.Sprintf("%d sequences that are one and that servers overlook, on %s", len(hostile.TheEnd), port), func(a *attack) {
			s := &sender{relay: r, port: port}
			for _, sequence := range hostile.TheEnd {
				for _, parts := range hostile.Cuts(sequence) {
					accepted += s.overlook(a, sequence, parts)
				}
			}
		})
		launch(t, "a second message in chunks (BDAT) on "+port, func(a *attack) {
			for _, command := range []string{"BDAT 200 LAST", "BDAT 0 LAST", "bdat 1", "BDAT 4294967296 LAST", "BDAT 1 LAST x"} {
				c := r.login(a, port, "app.shop", 0)
				c.expect(a, "MAIL FROM:<app@example.com>", "250 ")
				c.expect(a, "RCPT TO:<bob@example.net>", "250 ")
				c.send(command + "\r\n" + hostile.Smuggled + "x\r\n.\r\n")
				a.answered(command, c.lastReply(patience), "502 5.5.1")
			}
		})
	}
	launch(t, "what reaches the provider", func(a *attack) { u.checkWhole(a, accepted) })
}

// smuggle sends a message with another behind a sequence that does not end it, and returns how
// many were accepted.
func (s *sender) smuggle(a *attack, sequence string, parts []string) int {
	c := s.client(a)
	c.begin(a)
	c.send("From: app@example.com\r\n\r\nfirst")
	for _, part := range parts {
		c.send(part)
	}
	c.send(hostile.Smuggled + "end of the first\r\n.\r\n")
	reply := c.reply()
	if hostile.MustBeRefused(sequence) {
		a.answered(fmt.Sprintf("%q", parts), reply, "554 5.6.0")
	} else {
		a.answered(fmt.Sprintf("%q", parts), reply, "250 2.0.0")
	}
	if hostile.HasBareCR(sequence) {
		if text, ends := c.rest(patience); text != "" || !ends {
			a.breach("%q: the session goes on with %.100q", parts, text)
		}
		s.c = nil
	} else {
		c.expect(a, "NOOP", "250 ")
	}
	return strings.Count(reply[:3], "250")
}

// overlook sends a message that the sequence ends. A relay that does not see that would wait.
func (s *sender) overlook(a *attack, sequence string, parts []string) int {
	c := s.client(a)
	c.begin(a)
	c.send("From: app@example.com\r\n\r\nfirst, end of the first")
	for _, part := range parts {
		c.send(part)
	}
	reply := c.reply()
	if hostile.MustBeRefused(sequence) {
		a.answered(fmt.Sprintf("%q", parts), reply, "554 5.6.0")
		s.c = nil
		return 0
	}
	a.answered(fmt.Sprintf("%q", parts), reply, "250 2.0.0")
	return 1
}

// checkWhole wants as many messages as were accepted, each whole and with one end, and only
// commands of honest transactions around them.
func (u *upstream) checkWhole(a *attack, accepted int) {
	commands, bodies := u.waitFor(a, accepted)
	if len(bodies) != accepted {
		a.Errorf("%d messages came, %d were accepted", len(bodies), accepted)
	}
	for _, body := range bodies {
		switch {
		case strings.ContainsAny(strings.ReplaceAll(body, "\r\n", ""), "\r\n"), strings.Count(body, "\r\n.\r\n") != 1:
			a.breach("a message has a bare CR or LF, or two ends: %q", body)
		case !strings.Contains(body, "end of the first"):
			a.breach("a message lost its end: %q", body)
		default:
			a.harmless("one whole message for one accepted,")
		}
	}
	a.honest(commands)
}

// honest wants no command that the relay does not send of itself.
func (a *attack) honest(commands []string) {
	a.Helper()
	for _, command := range commands {
		verb, rest, _ := strings.Cut(command, " ")
		switch verb {
		case "EHLO", "AUTH", "DATA", "RSET", "QUIT", "STARTTLS":
		case "MAIL":
			if !strings.HasPrefix(rest, "FROM:<app@example.com>") && !strings.HasPrefix(rest, "FROM:<>") {
				a.breach("the provider was sent %q", command)
			}
		case "RCPT":
			if strings.Contains(rest, "victim") || strings.Count(rest, ">") != 1 || !strings.HasSuffix(rest, ">") {
				a.breach("the provider was sent %q", command)
			}
		default:
			a.breach("the provider was sent %q", command)
		}
	}
}
