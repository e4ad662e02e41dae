package policy

import (
	"errors"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestCheckRecipient(t *testing.T) {
	t.Parallel()
	list := func(entries ...string) []string { return entries }
	for _, tc := range []struct {
		name        string
		allow, deny []string
		address     string
		field       string // named in the refusal, empty for none
	}{
		{"no lists", nil, nil, "bob@example.net", ""},
		{"allowed domain", list("example.net"), nil, "Bob@Example.NET", ""},
		{"allowed address", list("bob@example.net"), nil, "bob@example.net", ""},
		{"allowed sub-domain", list("*.example.net"), nil, "bob@mail.example.net", ""},
		{"not allowed", list("example.net", "*.example.org"), nil, "bob@example.org", "recipients.allow"},
		{"denied domain", nil, list("example.net"), "bob@example.net", "recipients.deny"},
		{"denied address", nil, list("bob@example.net"), "bOb@example.net", "recipients.deny"},
		{"denied sub-domain", nil, list("*.example.net"), "bob@x.y.example.net", "recipients.deny"},
		{"another than the denied", nil, list("bob@example.net"), "eve@example.net", ""},
		{"denied and allowed", list("example.net"), list("bob@example.net"), "bob@example.net", "recipients.deny"},
		{"denied domain of an allowed address", list("bob@example.net"), list("example.net"), "bob@example.net", "recipients.deny"},
		{"U-label of a denied A-label", nil, list("xn--bcher-kva.example"), "bob@b\u00fccher.example", "recipients.deny"},
	} {
		err := CheckRecipient(config.Recipients{Allow: tc.allow, Deny: tc.deny}, tc.address)
		var refused *RecipientError
		if (err == nil) != (tc.field == "") || err != nil && (!errors.As(err, &refused) || !strings.Contains(err.Error(), tc.address) ||
			!strings.Contains(err.Error(), "message."+tc.field+" ")) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}
