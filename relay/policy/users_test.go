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

func TestUsersAreFoundByCertificateAndToken(t *testing.T) {
	t.Parallel()
	var users Users
	if users.HaveTokens() {
		t.Error("the zero Users has a token")
	}
	users.Replace(map[string]config.User{
		"a": {Name: "a", Certificates: []string{"CN:a", "DNS:a.test"}},
		"b": {Name: "b", Tokens: []string{"00", "01"}},
	})
	for _, name := range []string{"CN:a", "DNS:a.test"} {
		if u, ok := users.ByCertificate(name); !ok || u.Name != "a" {
			t.Errorf("%s: %+v", name, u)
		}
	}
	for _, hash := range []string{"00", "01"} {
		if u, ok := users.ByToken(hash); !ok || u.Name != "b" || !users.HaveTokens() {
			t.Errorf("%s: %+v", hash, u)
		}
	}
	if users.HaveSubjects() {
		t.Error("somebody has a subject")
	}
	users.Replace(map[string]config.User{
		"a": {Name: "a", Certificates: []string{"CN:a"}},
		"c": {Name: "c", Subjects: []string{"s"}},
		"d": {Name: "d", Subjects: []string{"r", "s"}},
	})
	if found := users.BySubject("s"); len(found) != 2 || !users.HaveSubjects() {
		t.Errorf("%d users have the subject s", len(found))
	}
	if found := users.BySubject("r"); len(found) != 1 || found[0].Name != "d" {
		t.Errorf("%d users have the subject r", len(found))
	}
	if _, ok := users.ByCertificate("DNS:a.test"); ok {
		t.Error("a certificate that was taken away still stands for its user")
	}
	if _, ok := users.ByToken("00"); ok || users.HaveTokens() {
		t.Error("a token that was taken away still stands for its user")
	}
}
