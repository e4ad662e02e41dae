//go:build attack

package attack

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// TestSTARTTLSOfClients injects text into sessions before they are encrypted, and looks for
// ways to do without encryption.
func TestSTARTTLSOfClients(t *testing.T) {
	heading("STARTTLS, clients of the relay", "commands from before TLS that count inside it, or a session without it")
	r := start(t, newUpstream(t))
	launch(t, "commands, a login or a ClientHello in one segment with STARTTLS", func(a *attack) {
		for _, rest := range []string{
			"EHLO x\r\n", "RSET\r\n", "MAIL FROM:<app@example.com>\r\n", "AUTH PLAIN " + plain("", "app.shop", r.password) + "\r\n",
			"\r\n", "x", clientHello(t), "STARTTLS\r\n",
		} {
			c := r.connect(a, "587", 0)
			c.reply()
			c.send("STARTTLS\r\n" + rest)
			a.answered(rest, c.lastReply(soon), "503 5.5.1")
		}
	})
	launch(t, "plaintext after the reply to STARTTLS, instead of a handshake", func(a *attack) {
		for _, garbage := range []string{"EHLO x\r\n", "MAIL FROM:<app@example.com>\r\n", "\x00\x00\x00\x00\x00\x00\x00\x00", "\x16\x03\x01\x00\x05hello", "GET / HTTP/1.1\r\n\r\n"} {
			c := r.connect(a, "587", 0)
			c.reply()
			c.expect(a, "STARTTLS", "220 ")
			c.send(garbage + "EHLO again\r\nNOOP\r\n")
			if text, ends := c.rest(soon); !ends || strings.Contains(text, "250") || strings.Contains(text, "550") {
				a.breach("%q: the session went on with %.100q", garbage, text)
				continue
			}
			a.harmless("closed")
		}
	})
	launch(t, "STARTTLS with an argument, or as a part of a word", func(a *attack) {
		for _, tt := range []struct{ command, want string }{
			{"STARTTLS now", "501 5.5.4"}, {"STARTTLS STARTTLS", "501 5.5.4"},
			{"STARTTLSNOW", "530 5.7.0"}, {"STARTTLS\x00", "530 5.7.0"}, {" STARTTLS", "500 5.5.2"},
		} {
			c := r.connect(a, "587", 0)
			c.reply()
			a.answered(tt.command, c.say(tt.command), tt.want)
		}
	})
	launch(t, "STARTTLS inside TLS, on both ports", func(a *attack) {
		for _, port := range ports {
			a.answered(port, r.open(a, port, 0).say("STARTTLS"), "503 5.5.1")
		}
	})
	launch(t, "EHLO and MAIL from before TLS, used inside it", func(a *attack) {
		c := r.connect(a, "587", 0)
		c.reply()
		c.expect(a, "EHLO before.test", "250 ")
		c.expect(a, "MAIL FROM:<app@example.com>", "530 ")
		c.expect(a, "STARTTLS", "220 ")
		c = newClient(tls.Client(c.Conn, r.tlsConfig()))
		for _, command := range []string{"RCPT TO:<bob@example.net>", "MAIL FROM:<app@example.com>", "DATA"} {
			a.answered(command, c.say(command), "503 5.5.1", "502 5.5.1")
		}
	})
	launch(t, "logins and mail in plaintext on 587", func(a *attack) {
		for _, command := range []string{
			"AUTH PLAIN " + plain("", "app.shop", r.password), "AUTH LOGIN", "AUTH", "MAIL FROM:<app@example.com>", "RCPT TO:<bob@example.net>", "DATA", "BDAT 1 LAST", "VRFY app",
		} {
			c := r.connect(a, "587", 0)
			c.reply()
			c.expect(a, "EHLO x", "250 ")
			a.answered(command, c.say(command), "530 5.7.0")
		}
	})
	launch(t, "a byte of plaintext from 465", func(a *attack) {
		for _, text := range []string{"EHLO x\r\n", "STARTTLS\r\n", "QUIT\r\n", "AUTH PLAIN AAA=\r\n"} {
			c := r.connect(a, "465", 0)
			c.send(text)
			if got, ends := c.rest(soon); !ends || got != "" {
				a.breach("%q is answered with %q", text, got)
				continue
			}
			a.harmless("closed without a word")
		}
	})
}

// clientHello is the first record of a TLS client.
func clientHello(t *testing.T) string {
	t.Helper()
	mine, theirs := net.Pipe()
	defer mine.Close()
	go func() {
		defer theirs.Close()
		_ = tls.Client(theirs, &tls.Config{ServerName: hostname, MinVersion: tls.VersionTLS12}).Handshake()
	}()
	header := make([]byte, 5)
	if _, err := io.ReadFull(mine, header); err != nil {
		t.Fatal(err)
	}
	record := make([]byte, int(header[3])<<8|int(header[4]))
	if _, err := io.ReadFull(mine, record); err != nil {
		t.Fatal(err)
	}
	return string(bytes.Join([][]byte{header, record}, nil))
}

// TestSTARTTLSOfProviders puts somebody between relay and provider who can alter what is not
// encrypted. The relay must keep mail and credentials to itself.
func TestSTARTTLSOfProviders(t *testing.T) {
	heading("STARTTLS, in front of the provider", "mail or credentials that leave unencrypted, or for a stranger")
	const without = "250-provider.test\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n"
	for _, tt := range []struct {
		what   string
		change func(*upstream)
	}{
		{"replies injected behind the 220 to STARTTLS", func(u *upstream) {
			u.startTLS = "220 2.0.0 Go ahead\r\n250-provider.test\r\n250 AUTH PLAIN\r\n235 2.7.0 OK\r\n"
		}},
		{"one byte injected behind the 220 to STARTTLS", func(u *upstream) { u.startTLS = "220 2.0.0 Go ahead\r\n2" }},
		{"the reply to STARTTLS injected behind the EHLO", func(u *upstream) { u.offer += "220 2.0.0 Go ahead\r\n" }},
		{"STARTTLS taken out of the EHLO reply", func(u *upstream) { u.offer = without }},
		{"STARTTLS answered and plaintext afterwards", func(u *upstream) {
			u.startTLS, u.handshake = "220 2.0.0 Go ahead\r\n", false
		}},
		{"STARTTLS refused with 454", func(u *upstream) { u.startTLS, u.handshake = "454 4.7.0 Later\r\n", false }},
		{"STARTTLS refused with 502", func(u *upstream) { u.startTLS, u.handshake = "502 5.5.1 What?\r\n", false }},
		{"STARTTLS answered with 250", func(u *upstream) { u.startTLS, u.handshake = "250 2.0.0 OK\r\n", false }},
		{"the certificate of somebody else", func(u *upstream) { u.stranger = newPair(t, "provider.test") }},
		{"plaintext where TLS is to come first", func(u *upstream) { u.mode, u.plaintext = config.TLSImplicit, true }},
	} {
		launch(t, tt.what, func(a *attack) {
			u := newUpstream(t, func(u *upstream) { u.mode = config.TLSStartTLS }, tt.change)
			r := start(a.T, u)
			if reply := r.login(a, "465", "app.shop", 0).submit(a, "From: app@example.com\r\n\r\nfor the provider only"); !strings.HasPrefix(reply, "250 ") {
				a.Fatalf("the message is answered with %q", reply)
			}
			waitFor(a, "two attempts", func() bool { return u.came() >= 2 })
			commands, bodies := u.captured()
			for _, command := range commands {
				switch verb, _, _ := strings.Cut(command, " "); verb {
				case "AUTH", "MAIL", "RCPT", "DATA":
					a.breach("the relay sent %q", command)
				}
			}
			if len(bodies) > 0 {
				a.breach("the relay sent the message")
			}
			for range u.came() {
				a.harmless("mail and credentials were kept back")
			}
		})
	}
	launch(t, "nobody in between, to show that mail would leave", func(a *attack) {
		u := newUpstream(t, func(u *upstream) { u.mode = config.TLSStartTLS })
		r := start(a.T, u)
		r.login(a, "465", "app.shop", 0).submit(a, "From: app@example.com\r\n\r\nfor the provider only")
		u.waitFor(a, 1)
		a.harmless("delivered")
	})
}
