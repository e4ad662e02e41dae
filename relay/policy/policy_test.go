package policy

import (
	"errors"
	"strings"
	"sync"
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
		{"exact in other case", []string{"App@Example.com"}, "aPP@eXAMPLE.COM", true},
		{"another of the domain", []string{"a@example.com"}, "b@example.com", false},
		{"longer local-part", []string{"a@example.com"}, "xa@example.com", false},
		{"domain", []string{"example.com"}, "anybody@EXAMPLE.com", true},
		{"sub-domain", []string{"example.com"}, "a@mail.example.com", false},
		{"parent domain", []string{"mail.example.com"}, "a@example.com", false},
		{"domain that ends alike", []string{"example.com"}, "a@evilexample.com", false},
		{"domain as local-part", []string{"example.com"}, "example.com@evil.example", false},
		{"two at signs", []string{"example.com"}, "a@example.com@evil.example", false},
		{"no domain", []string{"example.com"}, "example.com", false},
		{"second entry", []string{"x@example.net", "example.com"}, "a@example.com", true},
		{"any", []string{"*"}, "a@example.com", true},
		{"any has no null sender", []string{"*", "example.com"}, "", false},
		{"null sender listed", []string{"<>"}, "", true},
		{"null sender is no address", []string{"<>"}, "a@example.com", false},
		{"empty entry", []string{""}, "", false},
		{"empty entry and no domain", []string{""}, "a@", false},
		{"Kelvin sign is not k", []string{"kelvin.example"}, "a@\u212aelvin.example", false},
	} {
		user := &config.User{Name: "app.shop", Senders: tc.senders}
		err := CheckSender(user, tc.address)
		var denied *DeniedError
		if (err == nil) != tc.want || err != nil && !errors.As(err, &denied) {
			t.Errorf("%s: CheckSender(%q, %q) = %v", tc.name, tc.senders, tc.address, err)
		}
	}
}

func TestDeniedErrorSaysWhatToChange(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ sender, want string }{
		{"a@example.net", "user app.shop may not send as a@example.net: allow example.net in allowedSenders of the RelayUser"},
		{"", "user app.shop may not send as <>: allow <> in allowedSenders"},
	} {
		got := CheckSender(&config.User{Name: "app.shop"}, tc.sender).Error()
		if !strings.HasPrefix(got, tc.want) {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}

func TestMaySendAsAny(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		senders []string
		want    bool
	}{{nil, false}, {[]string{"example.com", "<>"}, false}, {[]string{"example.com", "*"}, true}} {
		if got := MaySendAsAny(&config.User{Senders: tc.senders}); got != tc.want {
			t.Errorf("%q: %v", tc.senders, got)
		}
	}
}

func TestReplaceKeepsThePointerOfAnUnchangedUser(t *testing.T) {
	t.Parallel()
	var users Users
	if _, ok := users.Lookup("a"); ok || users.Len() != 0 {
		t.Error("the zero Users has a user")
	}
	user := func(name string, senders ...string) config.User {
		return config.User{Name: name, Passwords: []config.Verifier{{Salt: name}}, Senders: senders}
	}
	users.Replace(map[string]config.User{"a": user("a"), "b": user("b", "x"), "c": user("c")})
	a, _ := users.Lookup("a")
	b, _ := users.Lookup("b")
	users.Replace(map[string]config.User{"a": user("a"), "b": user("b", "y"), "d": user("d")})

	if again, ok := users.Lookup("a"); !ok || again != a {
		t.Error("an unchanged user has another pointer")
	}
	if again, ok := users.Lookup("b"); !ok || again == b || again.Senders[0] != "y" {
		t.Errorf("a changed user is %+v", again)
	}
	if b.Senders[0] != "x" {
		t.Error("a user in use was altered")
	}
	if _, ok := users.Lookup("c"); ok {
		t.Error("a removed user is still there")
	}
	if _, ok := users.Lookup("d"); !ok || users.Len() != 3 {
		t.Error("a new user is not there")
	}
}

func TestUsersCanBeReplacedWhileRead(t *testing.T) {
	t.Parallel()
	var users Users
	set := map[string]config.User{"a": {Name: "a"}}
	users.Replace(set)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				if _, ok := users.Lookup("a"); !ok {
					t.Error("the user went missing")
					return
				}
			}
		})
	}
	for range 100 {
		users.Replace(set)
	}
	wg.Wait()
}
