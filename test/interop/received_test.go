//go:build interop

package interop

import (
	"encoding/base64"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
)

// received are the messages that arrived, by the address of their From.
func (u *upstream) received(t *testing.T) map[string]*mail.Message {
	t.Helper()
	messages := map[string]*mail.Message{}
	for _, raw := range u.raw(t) {
		m, err := mail.ReadMessage(strings.NewReader(raw))
		if err != nil {
			t.Fatalf("%v in\n%s", err, raw)
		}
		from, err := m.Header.AddressList("From")
		if err != nil || len(from) != 1 {
			t.Fatalf("From: %v, %v in\n%s", from, err, raw)
		}
		if messages[from[0].Address] != nil {
			t.Errorf("%s arrived twice", from[0].Address)
		}
		messages[from[0].Address] = m
	}
	return messages
}

// check compares a message that arrived with the one that was sent.
func (a *attempt) check(m *mail.Message) error {
	if to, err := m.Header.AddressList("To"); err != nil || len(to) != 1 || to[0].Address != recipient {
		return fmt.Errorf("To is %q", m.Header.Get("To"))
	}
	if subject := m.Header.Get("Subject"); subject != a.subject() {
		return fmt.Errorf("subject is %q", subject)
	}
	for _, field := range []string{"Date", "Message-Id"} {
		if m.Header.Get(field) == "" {
			return fmt.Errorf("no %s", field)
		}
	}
	if by := m.Header["Received"]; !strings.Contains(strings.Join(by, "\n"), "with ESMTPSA") {
		return fmt.Errorf("no login and TLS in Received: %q", by)
	}
	got, err := readable(m)
	if err != nil {
		return err
	}
	want := body
	if a.client.changes != nil {
		want = a.client.changes.Replace(want)
	}
	// Some clients add an empty line to the end, or take it away.
	if strings.TrimRight(got, "\n") != strings.TrimRight(want, "\n") {
		return fmt.Errorf("body is %q", got)
	}
	return nil
}

// readable is the body as its reader sees it, with line feeds alone.
func readable(m *mail.Message) (string, error) {
	r := m.Body
	switch strings.ToLower(m.Header.Get("Content-Transfer-Encoding")) {
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	}
	content, err := io.ReadAll(r)
	return strings.ReplaceAll(string(content), "\r\n", "\n"), err
}
