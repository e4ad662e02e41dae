//go:build attack

package attack

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// ends are what some program takes for the end of a line.
var ends = []string{"\r\n", "\n", "\r", "\x00", "\u0085", "\u2028", "\v", "\f", "%0d%0a", "\\r\\n", "=0D=0A", "+0D+0A", "\\x{0D}\\x{0A}", "\x1b[2J", "\u009b2J", "\x7f"}

// unsafe are characters that must not be in a reply or a line of the log as they are.
const unsafe = "\r\n\x00\x1b\x7f\u0085\u009b\u2028"

// mark is looked for in what the relay writes.
const mark = "X-Injected: yes"

// TestInjection puts ends of lines into all that the relay repeats: to the client, in its log,
// in Received, in commands to the provider, and in bounces.
func TestInjection(t *testing.T) {
	heading("Injection", "lines of the attacker's own in replies, the log, headers, commands or bounces")
	u := newUpstream(t, func(u *upstream) {
		u.verdict = "550-5.1.1 No\r" + mark + "\r\n550 5.1.1 such\x00 \u2028\u0085user\r " + mark
	})
	r := start(t, u)
	launch(t, "ends of lines in EHLO, and then a message", func(a *attack) { r.injectEHLO(a) })
	for _, place := range []struct{ where, before, after string }{
		{"MAIL", "MAIL FROM:<app", "@example.com>"},
		{"the domain of MAIL", "MAIL FROM:<app@example.com", ".test>"},
		{"a parameter of MAIL", "MAIL FROM:<app@example.com> ENVID=x", "x"},
		{"AUTH= of MAIL", "MAIL FROM:<app@example.com> AUTH=x", "x"},
		{"RCPT", "RCPT TO:<bob", "@example.net>"},
		{"ORCPT", "RCPT TO:<bob@example.net> ORCPT=rfc822;x", "x"},
		{"an unknown command", "XYZ", "x"},
	} {
		launch(t, "ends of lines in "+place.where, func(a *attack) { r.injectCommand(a, place.before, place.after) })
	}
	launch(t, "ends of lines in the user of PLAIN and SCRAM", func(a *attack) {
		for n, end := range ends {
			for _, login := range []string{
				"PLAIN " + plain("", "app.shop"+end+mark, r.password), "PLAIN " + plain("x"+end+mark, "app.shop", r.password), "SCRAM-SHA-256 " + encode64("n,,n=app"+end+mark+",r=x"),
			} {
				// From an address of its own: after a few failures answers are held back.
				c := r.open(a, "465", 3000+n)
				reply := c.say("AUTH " + login)
				if strings.HasPrefix(reply, "334 ") {
					reply = c.say("x")
				}
				a.clean(login, reply, "535 5.7.8", "501 ")
			}
		}
	})
	launch(t, "ends of lines in a Message-ID, a Subject and a file name", func(a *attack) { r.injectHeaders(a) })
	launch(t, "a provider that answers with ends of lines, and the bounce of it", func(a *attack) {
		c := r.login(a, "465", "app.shop", 0)
		c.expect(a, "MAIL FROM:<app@example.com>", "250 ")
		c.expect(a, "RCPT TO:<bounce@example.net>", "250 ")
		c.expect(a, "DATA", "354 ")
		c.expect(a, "From: app@example.com\r\nSubject: to be bounced\r\n\r\n"+mark+" in its body\r\n.", "250 ")
		waitFor(a, "the bounce", func() bool {
			_, bodies := u.captured()
			return slices.ContainsFunc(bodies, func(body string) bool { return strings.Contains(body, "multipart/report") })
		})
		a.harmless("one bounce")
	})
	launch(t, "what the provider got", func(a *attack) {
		commands, bodies := u.captured()
		a.honest(commands)
		for _, body := range bodies {
			a.cleanMessage(body)
		}
	})
	launch(t, "the log", func(a *attack) { a.cleanLog(r.log.String()) })
}

// injectEHLO says who it is with ends of lines in it, and sends a message, whose Received shows
// what it said.
func (r *relay) injectEHLO(a *attack) {
	for _, end := range ends {
		if strings.Contains(end, "\n") {
			continue // the end of the command
		}
		c := r.login(a, "465", "app.shop", 0)
		_, _ = c.Write([]byte("EHLO client.test" + end + mark + "\r\n"))
		line, _ := c.in.ReadString('\n')
		if !strings.HasPrefix(line, "250-"+hostname) || strings.Contains(line, "client.test") {
			a.breach("EHLO %q is answered with %q", end, line)
		}
		for strings.HasPrefix(line, "250-") {
			line, _ = c.in.ReadString('\n')
		}
		a.clean(end, c.submit(a, "From: app@example.com\r\n\r\nafter a strange EHLO"), "250 ")
	}
}

// injectCommand sends a command with each end of a line in it.
func (r *relay) injectCommand(a *attack, before, after string) {
	for _, end := range ends {
		if strings.Contains(end, "\n") {
			continue // two commands, as everybody may send
		}
		c := r.login(a, "587", "app.shop", 0)
		if strings.HasPrefix(before, "RCPT") {
			c.expect(a, "MAIL FROM:<app@example.com>", "250 ")
		}
		a.clean(end, c.say(before+end+mark+after), "5", "250 ")
	}
	c := r.login(a, "587", "app.shop", 0)
	c.send(before + "\n" + mark + after + "\r\n")
	a.clean("LF", c.reply(), "500 5.5.2")
}

// injectHeaders sends header fields with ends of lines that are none.
func (r *relay) injectHeaders(a *attack) {
	for _, end := range ends[2:] {
		for _, field := range []string{"Message-ID: <a" + end + mark + "@b.test>", "Subject: a" + end + mark, "Content-Disposition: attachment; filename=\"a" + end + mark + "\""} {
			c := r.login(a, "465", "app.shop", 0)
			reply := c.submit(a, "From: app@example.com\r\n"+field+"\r\n\r\nwith strange fields")
			a.clean(field, reply, "250 ", "554 5.6.0", "550 5.6")
		}
	}
}

// clean is answered, and wants nothing of the mark in the reply, or what could end its line.
func (a *attack) clean(tried, reply string, wanted ...string) {
	a.Helper()
	if strings.Contains(reply, mark) || strings.ContainsAny(reply, unsafe) && reply != closed {
		a.breach("%q is repeated in %q", tried, reply)
		return
	}
	a.answered(fmt.Sprintf("%q", tried), reply, wanted...)
}

// cleanMessage wants no line of the header, or of a bounce's parts, that begins with the mark.
func (a *attack) cleanMessage(body string) {
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, mark) && !strings.HasPrefix(line, mark+" in its body") || strings.ContainsAny(strings.TrimSuffix(line, "\r\n"), "\r\n\x00") {
			a.breach("the provider got the line %q in %q", line, body)
			return
		}
	}
	for _, field := range []string{"Received: ", "Message-ID: "} {
		if n := strings.Count("\r\n"+body, "\r\n"+field); n != 1 && !strings.Contains(body, "multipart/report") {
			a.breach("a message has %d %s: %q", n, field, body)
		}
	}
	a.harmless("clean message")
}

// cleanLog wants each line to be one JSON object, without a raw control character.
func (a *attack) cleanLog(log string) {
	for line := range strings.Lines(log) {
		line = strings.TrimSuffix(line, "\n")
		if !json.Valid([]byte(line)) || strings.ContainsAny(line, unsafe) {
			a.breach("the log has the line %q", line)
			continue
		}
		a.harmless("clean line")
	}
}
