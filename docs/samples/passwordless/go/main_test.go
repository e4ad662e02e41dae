package main

import (
	"net/mail"
	"strings"
	"testing"
)

func TestMessageIsWellFormedWhateverItIsGiven(t *testing.T) {
	t.Parallel()
	m, err := compose("Käthe <app@shop.example.com>", "you@example.net", "Grüße\r\nBcc: eve@example.org")
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsFunc(m.text, func(r rune) bool { return r > '~' }) || m.from != "app@shop.example.com" {
		t.Errorf("from %s: %q", m.from, m.text)
	}
	parsed, err := mail.ReadMessage(strings.NewReader(m.text))
	if err != nil {
		t.Fatal(err)
	}
	if id := parsed.Header.Get("Message-ID"); parsed.Header.Get("Bcc") != "" || !strings.HasSuffix(id, "@shop.example.com>") {
		t.Errorf("header %v", parsed.Header)
	}
	if _, err := parsed.Header.Date(); err != nil {
		t.Error(err)
	}
	for _, address := range []string{"", "a@b.test\r\nBcc: eve@example.org", "a@b.test, c@d.test"} {
		if _, err := compose(address, "you@example.net", ""); err == nil {
			t.Errorf("it sends from %q", address)
		}
	}
}
