package submission

import (
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// TestLogOfARefusalHidesTheRecipient refuses recipients for every reason that there is.
func TestLogOfARefusalHidesTheRecipient(t *testing.T) {
	t.Parallel()
	const hash = config.RecipientsHash
	for mode, want := range map[string]string{
		config.RecipientsFull:   "this relay does not send to patient@secret.test: ",
		config.RecipientsDomain: "this relay does not send to secret.test: ",
		hash:                    "this relay does not send to " + config.FormatRecipient(hash, "patient@secret.test") + ": ",
	} {
		f := start(t, func(f *fixture) {
			f.config.Logging.Recipients = mode
			f.config.Message.Recipients.Deny = []string{"secret.test"}
			f.config.Message.MaxRecipients = 1
		})
		f.setUser(config.User{
			Senders: []string{"example.com"}, Recipients: []config.Recipients{{Deny: []string{"secret.example"}}},
		})
		c := f.login()
		c.do("MAIL FROM:<app@example.com>", "250 ")
		c.do("RCPT TO:<patient@secret.test>", "550 5.7.1 this relay does not send to patient@secret.test: ")
		c.do("RCPT TO:<patient@secret.example>", "550 5.7.1 user app.shop may not send to patient@secret.example: ")
		c.do(`RCPT TO:<"the patient"@secret.test>`, "553 ")
		c.do("RCPT TO:<patient@localhost>", "501 ")
		c.do("RCPT TO:<patient@[192.0.2.1]>", "553 ")
		c.do("RCPT TO:<patient@b\u00fccher.test>", "553 ")
		c.do("RCPT TO:<bob@example.net>", "250 ")
		c.do("RCPT TO:<patient@example.net>", "452 ")
		log := f.log.String()
		if !strings.Contains(log, want) || strings.Count(log, `"msg":"refused"`) != 7 {
			t.Errorf("%s: the log lacks %q or a line:\n%s", mode, want, log)
		}
		if mode != config.RecipientsFull && strings.Contains(log, "patient") {
			t.Errorf("%s: the log shows a recipient:\n%s", mode, log)
		}
	}
}
