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
		how         string // said in the refusal, empty for none
	}{
		{"no lists", nil, nil, "bob@example.net", ""},
		{"allowed domain", list("example.net"), nil, "Bob@Example.NET", ""},
		{"allowed address", list("bob@example.net"), nil, "bob@example.net", ""},
		{"allowed sub-domain", list("*.example.net"), nil, "bob@mail.example.net", ""},
		{"not allowed", list("example.net", "*.example.org"), nil, "bob@example.org", notAllowed},
		{"denied domain", nil, list("example.net"), "bob@example.net", denied},
		{"denied address", nil, list("bob@example.net"), "bOb@example.net", denied},
		{"denied sub-domain", nil, list("*.example.net"), "bob@x.y.example.net", denied},
		{"another than the denied", nil, list("bob@example.net"), "eve@example.net", ""},
		{"denied and allowed", list("example.net"), list("bob@example.net"), "bob@example.net", denied},
		{"denied domain of an allowed address", list("bob@example.net"), list("example.net"), "bob@example.net", denied},
		{"U-label of a denied A-label", nil, list("xn--bcher-kva.example"), "bob@b\u00fccher.example", denied},
	} {
		lists, user := config.Recipients{Allow: tc.allow, Deny: tc.deny}, config.User{Name: "app.shop"}
		check(t, tc.name, CheckRecipient(lists, &user, tc.address), tc.how, tc.address, "this relay does not", "message.recipients of the MailRelay")
		user.Recipients = []config.Recipients{{}, lists}
		check(t, tc.name, CheckRecipient(config.Recipients{}, &user, tc.address), tc.how, tc.address, "user app.shop may not", "RelayUser")
	}
}

const (
	denied     = "denies it"
	notAllowed = "does not allow it"
)

// check wants a refusal that says all of it; none when how is empty.
func check(t *testing.T, name string, err error, how string, said ...string) {
	t.Helper()
	var refused *RecipientError
	if (err == nil) != (how == "") || err != nil && !errors.As(err, &refused) {
		t.Errorf("%s: %v, want %q", name, err, how)
		return
	}
	for _, text := range append(said, how) {
		if err != nil && !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want it to say %q", name, err, text)
		}
	}
}

func TestEveryListOfRecipientsHolds(t *testing.T) {
	t.Parallel()
	relay := config.Recipients{Allow: []string{"example.net", "example.org"}}
	user := &config.User{Recipients: []config.Recipients{{Allow: []string{"example.net", "example.com"}}, {Deny: []string{"bob@example.net"}}}}
	for address, allowed := range map[string]bool{
		"eve@example.net": true, "bob@example.net": false, "eve@example.org": false, "eve@example.com": false,
	} {
		if err := CheckRecipient(relay, user, address); (err == nil) != allowed {
			t.Errorf("%s: %v", address, err)
		}
	}
}
