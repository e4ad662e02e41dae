package policy

import (
	"errors"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/message"
)

func headerOf(t *testing.T, text string) *message.Header {
	t.Helper()
	content, err := message.ReadContent(strings.NewReader(text + "\r\nbody\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	return &content.Header
}

func TestCheckHeader(t *testing.T) {
	t.Parallel()
	const allowed, denied, unclear = "", "may not send as evil@evil.example in the ", "header field"
	for _, tc := range []struct{ name, header, want string }{
		{"no From", "Subject: x\r\n", allowed},
		{"own From", "From: App <app@example.com>\r\n", allowed},
		{"own From twice in one field", "From: app@example.com, App <b@example.com>\r\n", allowed},
		{"another's From", "From: evil@evil.example\r\n", denied + "From"},
		{"second address of From", "From: app@example.com, evil@evil.example\r\n", denied + "From"},
		{"address in a group", "From: team: app@example.com, evil@evil.example;\r\n", denied + "From"},
		{"folded before the second address", "From: app@example.com,\r\n evil@evil.example\r\n", denied + "From"},
		{"our address as a name", "From: \"app@example.com\" <evil@evil.example>\r\n", denied + "From"},
		{"our address as an encoded name", "From: =?utf-8?q?app=40example=2Ecom?= <evil@evil.example>\r\n", denied + "From"},
		{"our address as a comment", "From: evil@evil.example (app@example.com)\r\n", denied + "From"},
		{"another's address as a name", "From: \"evil@evil.example\" <app@example.com>\r\n", allowed},
		{"two From fields, both ours", "From: app@example.com\r\nFrom: app@example.com\r\n", unclear},
		{"two From fields in other writing", "From: app@example.com\r\nX: y\r\nFROM \t: evil@evil.example\r\n", unclear},
		{"another's address as a name without quotes", "From: evil@evil.example <app@example.com>\r\n", unclear},
		{"an encoded word for an address", "From: =?utf-8?q?app=40example=2Ecom?=\r\n", unclear},
		{"an encoded word before the address", "From: =?utf-8?q?evil=40evil=2Eexample=2C?= app@example.com\r\n", unclear},
		{"two angle addresses", "From: <app@example.com> <evil@evil.example>\r\n", unclear},
		{"source route", "From: <@evil.example:app@example.com>\r\n", unclear},
		{"empty group", "From: undisclosed:;\r\n", unclear},
		{"empty From, which the relay replaces", "From:\r\n", allowed},
		{"empty From behind ours", "From: app@example.com\r\nFrom:\r\n", unclear},
		{"null address", "From: <>\r\n", unclear},
		{"no domain", "From: root\r\n", unclear},
		{"quoted local-part", "From: \"evil@evil.example\"@example.com\r\n", "may not send as"},
		{"a name in a legacy character set", "From: Caf\xe9 <app@example.com>\r\n", allowed},
		{"a domain with a line separator", "From: app@evil.example\u2028.sub.example.com\r\n", unclear},
		{"a domain with an octet that is no UTF-8", "From: app@evil.example\xe9.sub.example.com\r\n", unclear},
		{"a local-part with an octet that is no UTF-8", "From: caf\xe9@example.com\r\n", unclear},
		{"a local-part that changes its direction", "From: app\u202emoc.live@example.com\r\n", unclear},
		{"a local-part with an encoded word", "From: <=?utf-8?q?evil=40evil.example=3e=20?=@example.com>\r\n", unclear},
		{"a Sender with an encoded word", "From: app@example.com\r\nSender: =?utf-8?q?evil=40evil.example?=@example.com\r\n", unclear},
		{"a domain in a spelling of its own", "From: app@b\u00dccher.sub.example.com\r\n", unclear},
		{"own address beyond ASCII", "From: \u00e4pp@b\u00fccher.sub.example.com\r\n", allowed},
		{"own Sender", "From: app@example.com\r\nSender: app@example.com\r\n", allowed},
		{"another's Sender", "From: app@example.com\r\nSender: evil@evil.example\r\n", denied + "Sender"},
		{"second Sender field", "Sender: app@example.com\r\nSender: evil@evil.example\r\n", denied + "Sender"},
		{"Sender that cannot be read", "From: app@example.com\r\nSender: root\r\n", unclear},
		{"own Sender, another's From", "From: evil@evil.example\r\nSender: app@example.com\r\n", denied + "From"},
		{"another's Resent-From", "From: app@example.com\r\nResent-From: evil@evil.example\r\n", denied + "Resent-From"},
		{"own Resent-From does not lend the From", "From: evil@evil.example\r\nResent-From: app@example.com\r\n", denied + "From"},
		{"resent twice", "Resent-From: app@example.com\r\nResent-From: evil@evil.example\r\n", denied + "Resent-From"},
		{"another's Resent-Sender", "Resent-Sender: evil@evil.example\r\n", denied + "Resent-Sender"},
		{"Reply-To is free", "From: app@example.com\r\nReply-To: evil@evil.example\r\n", allowed},
		{"From in the body", "From: app@example.com\r\n\r\nFrom: evil@evil.example\r\n", allowed},
	} {
		err := CheckHeader(&config.User{Name: "app.shop", Senders: []string{"example.com", "*.sub.example.com", "<>"}}, headerOf(t, tc.header))
		if (err == nil) != (tc.want == allowed) || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

// TestCheckHeaderOfAUserWhoMaySendAsAny: whom they claim to be is theirs to say, but not
// twice.
func TestCheckHeaderOfAUserWhoMaySendAsAny(t *testing.T) {
	t.Parallel()
	for header, allowed := range map[string]bool{
		"From: anybody@evil.example\r\nSender: x@y.example\r\n": true,
		"From: a@example.com\r\nSender: root\r\n":               true,
		"From: root@localhost\r\n":                              true,
		"From: a@example.com\r\nResent-From: (nobody)\r\n":      true,
		"From: root\r\n": false,
		"From: a@example.com\r\nFrom: b@example.com\r\n": false,
	} {
		err := CheckHeader(&config.User{Name: "app.shop", Senders: []string{"*"}}, headerOf(t, header))
		var unclear *HeaderError
		if (err == nil) != allowed || err != nil && !errors.As(err, &unclear) {
			t.Errorf("%q: %v", header, err)
		}
	}
}
