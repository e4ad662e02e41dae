package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestCheckSender(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		senders []string
		address string
		want    bool
	}{
		{"none means none", nil, "a@example.com", false},
		{"exact", []string{"a@example.com"}, "a@example.com", true},
		{"domain", []string{"example.com"}, "a@example.com", true},
		{"sub-domain", []string{"*.example.com"}, "a@mail.example.com", true},
		{"domain itself by its sub-domains", []string{"*.example.com"}, "a@example.com", false},
		{"no domain", []string{"example.com"}, "example.com", false},
		{"no domain, any", []string{"*"}, "root", false},
		{"second entry", []string{"x@example.net", "example.com"}, "a@example.com", true},
		{"any", []string{"*"}, "a@example.com", true},
		{"any has no null sender", []string{"*", "example.com"}, "", false},
		{"null sender listed", []string{"<>"}, "", true},
		{"null sender is no address", []string{"<>"}, "a@example.com", false},
		{"null sender in words", []string{"<>"}, "<>", false},
		{"empty entry", []string{""}, "", false},
	} {
		user := &config.User{Name: "app.shop", Senders: tc.senders}
		err := CheckSender(user, tc.address)
		var denied *DeniedError
		if (err == nil) != tc.want || err != nil && !errors.As(err, &denied) {
			t.Errorf("%s: CheckSender(%q, %q) = %v", tc.name, tc.senders, tc.address, err)
		}
	}
}

func TestDeniedErrorSaysWhatIsAllowed(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 64 {
		many = append(many, fmt.Sprintf("app%d@example.com", i))
	}
	for _, tc := range []struct {
		sender  string
		allowed []string
		want    string
	}{
		{"a@example.net", nil, "user app.shop may not send as a@example.net: allowed is nobody, by allowedSenders of the RelayUser"},
		{"", []string{"example.com"}, "user app.shop may not send as <>: allowed is example.com, by "},
		{"a@b.example", []string{"example.com", "*.example.org"}, "a@b.example: allowed is example.com, *.example.org, by "},
		{"a@b.example", many, "allowed is app0@example.com or one of 63 others, by "},
		{"a@b.example", []string{strings.Repeat("x", 199) + ".example", "b"}, " or one of 1 others, by "},
	} {
		got := CheckSender(&config.User{Name: "app.shop", Senders: tc.allowed}, tc.sender).Error()
		if !strings.Contains(got, tc.want) {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}
