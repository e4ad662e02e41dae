//go:build attack

package attack

import (
	"bufio"
	"crypto/tls"
	"strings"
	"testing"
	"time"
)

// TestCrossProtocol makes programs of other protocols speak to the relay, as a web page can make
// a browser do.
func TestCrossProtocol(t *testing.T) {
	heading("Cross-protocol", "commands in what a browser, a load balancer or a client of the other port sends")
	u := newUpstream(t)
	r := start(t, u)
	const smtp = "EHLO x\r\nMAIL FROM:<app@example.com>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nhello\r\n.\r\nQUIT\r\n"
	plaintext := []struct{ what, send string }{
		{"HTTP GET", "GET / HTTP/1.1\r\nHost: relay.test\r\n\r\n"},
		{"HTTP POST with commands as its body", "POST / HTTP/1.1\r\nHost: relay.test\r\nContent-Length: 100\r\n\r\n" + smtp},
		{"HTTP CONNECT", "CONNECT relay.test:587 HTTP/1.1\r\n\r\n" + smtp},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
		{"PROXY protocol, version 1", "PROXY TCP4 10.0.0.1 10.0.0.2 1 587\r\n" + smtp},
		{"PROXY protocol, version 2", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x0a\x00\x00\x01\x0a\x00\x00\x02\x00\x01\x02\x4b" + smtp},
	}
	for _, tt := range plaintext {
		launch(t, tt.what+", on both ports", func(a *attack) {
			for _, port := range ports {
				r.speak(a, r.connect(a, port, 0), port, tt.send)
			}
		})
	}
	launch(t, "SMTP in plaintext on 465", func(a *attack) { r.speak(a, r.connect(a, "465", 0), "SMTP", smtp) })
	launch(t, "TLS at once on 587", func(a *attack) {
		for n, record := range []string{clientHello(t), "\x16\x03\x01\x00\xff"} {
			r.speak(a, r.connect(a, "587", 0), []string{"ClientHello", "its first bytes"}[n], record)
		}
	})
	launch(t, "HTTPS, a POST with commands as its body, without ALPN", func(a *attack) {
		for _, port := range ports {
			c := r.tls(a, port, &tls.Config{RootCAs: r.pair.pool(), ServerName: hostname})
			r.speak(a, c, port, plaintext[1].send)
		}
	})
	launch(t, "HTTPS, by ALPN", func(a *attack) {
		for _, protocols := range [][]string{{"h2", "http/1.1"}, {"http/1.1"}, {"h2"}, {"http/1.0"}} {
			for _, port := range ports {
				a.refusesHandshake(r.tls(a, port, &tls.Config{RootCAs: r.pair.pool(), ServerName: hostname, NextProtos: protocols}), strings.Join(protocols, " "))
			}
		}
	})
	launch(t, "TLS 1.0 and 1.1, CBC and RSA key exchange", func(a *attack) {
		for _, port := range ports {
			for name, config := range weak {
				config := config.Clone()
				config.RootCAs, config.ServerName = r.pair.pool(), hostname
				a.refusesHandshake(r.tls(a, port, config), name)
			}
		}
	})
	launch(t, "nothing of the above", func(a *attack) {
		commands, _ := u.captured()
		// Its probes connect as well, but send no mail.
		for _, command := range commands {
			if strings.HasPrefix(strings.ToUpper(command), "MAIL") {
				a.breach("the relay began a message at the provider: %s", command)
			}
		}
		a.harmless("at the provider")
	})
}

// weak are ways to encrypt that were broken.
var weak = map[string]*tls.Config{
	"TLS 1.0": {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10},
	"TLS 1.1": {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
	"CBC": {MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
	}},
	"RSA": {MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA,
	}},
}

// speak sends what is not SMTP, or comes in the wrong mode. The relay must take no command of
// it, and close within a second or two.
func (r *relay) speak(a *attack, c *client, what, text string) {
	began := time.Now()
	go c.send(text)
	said, ends := c.rest(patience)
	took := time.Since(began)
	switch {
	case !ends:
		a.breach("%s: the connection stays open after %q", what, said)
	case strings.Contains(said, "\r\n354 "), strings.Contains(said, "queued"), strings.Contains(said, "\r\n250 2.1"):
		a.breach("%s: commands were taken: %q", what, said)
	case took > 2*time.Second:
		a.breach("%s: the connection was closed only after %v", what, took)
	default:
		a.harmless("closed at once")
	}
}

// tls connects to where TLS begins, without the handshake.
func (r *relay) tls(a *attack, port string, config *tls.Config) *client {
	c := r.connect(a, port, 0)
	if port == "587" {
		c.reply()
		c.expect(a, "STARTTLS", "220 ")
	}
	c.Conn = tls.Client(c.Conn, config)
	c.in = bufio.NewReader(c.Conn)
	return c
}

func (a *attack) refusesHandshake(c *client, what string) {
	a.Helper()
	if err := c.Conn.(*tls.Conn).Handshake(); err == nil {
		a.breach("a handshake with %s works", what)
		return
	}
	a.harmless("handshake refused")
}
