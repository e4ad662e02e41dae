package policy

import (
	"sync"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

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
