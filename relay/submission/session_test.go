package submission

import (
	"strings"
	"testing"
)

func TestMessageIsStoredWithItsEnvelope(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.login()
	c.do("MAIL FROM:<app@example.com> BODY=8BITMIME SMTPUTF8", "250 ")
	c.do("RCPT TO:<bob@example.net>", "250 ")
	c.do("RCPT TO:<carol@example.org>", "250 ")
	c.do("RCPT TO:<bob@example.net>", "250 ")
	c.do("DATA", "354 ")
	got := c.do("From: App <app@example.com>\r\nSubject: hello\r\nBcc: carol@example.org\r\n\r\n..dot\r\nend\r\n.", "250 2.0.0 Ok: queued as ")

	messages := f.spool.messages()
	if len(messages) != 1 {
		t.Fatalf("%d messages stored, want 1", len(messages))
	}
	m := messages[0]
	if want := "250 2.0.0 Ok: queued as " + m.envelope.ID; got != want {
		t.Errorf("reply %q, want %q", got, want)
	}
	if m.envelope.User != testUser || m.envelope.ReversePath != "app@example.com" || len(m.envelope.Recipients) != 2 ||
		m.envelope.SMTPUTF8 || m.envelope.EightBit || m.envelope.MessageID != "<"+m.envelope.ID+"@relay.test>" {
		t.Errorf("envelope %+v", m.envelope)
	}
	for _, want := range []string{
		"Received: from client.test ([127.0.0.1])\r\n\tby relay.test with ESMTPSA (TLS1.3 TLS_",
		"\r\nMessage-ID: <" + m.envelope.ID + "@relay.test>\r\n",
		"\r\nDate: ",
		"\r\n\r\n.dot\r\nend\r\n",
	} {
		if !strings.Contains(m.content, want) {
			t.Errorf("the content lacks %q:\n%s", want, m.content)
		}
	}
	if strings.Contains(m.content, "carol") {
		t.Errorf("the content shows the blind copy:\n%s", m.content)
	}
	if f.value("mailrelay_messages_accepted_total") != 1 {
		t.Error("the message was not counted")
	}
	c.do("QUIT", "221 ")
}
