package delivery

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	password := rand.Text()
	long := strings.Repeat(rand.Text(), 30)
	tests := []struct {
		name, offered, mechanism, password string
		want                               []string
	}{
		{"PLAIN comes before LOGIN", "AUTH LOGIN PLAIN", "", password, []string{"AUTH PLAIN " + encode("\x00app\x00"+password)}},
		{"the form of old servers is understood", "auth=login plain", "", password, []string{"AUTH PLAIN " + encode("\x00app\x00"+password)}},
		{"LOGIN when nothing else is offered", "AUTH LOGIN", "", password, []string{"AUTH LOGIN", encode("app"), encode(password)}},
		{"LOGIN when it is set", "AUTH PLAIN LOGIN", "LOGIN", password, []string{"AUTH LOGIN", encode("app"), encode(password)}},
		{"long credentials follow the command", "AUTH PLAIN", "", long, []string{"AUTH PLAIN", encode("\x00app\x00" + long)}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, script{mode: config.TLSImplicit, keywords: []string{test.offered}})
			u := srv.upstream()
			u.Username, u.Password, u.Auth.Mechanism = "app", test.password, test.mechanism
			mustDeliver(t, newTestPool(t, u), mail(greeting))
			if said := srv.said()[1 : 1+len(test.want)]; !slices.Equal(said, test.want) {
				t.Errorf("said %q, want %q", said, test.want)
			}
		})
	}
}

func TestLoginComesOnlyAfterTLS(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSStartTLS})
	u := srv.upstream()
	u.Username, u.Password = "app", rand.Text()
	mustDeliver(t, newTestPool(t, u), mail(greeting))
	said := srv.said()
	if said[0] != "EHLO relay.test" || said[1] != "STARTTLS" || said[2] != "EHLO relay.test" || !strings.HasPrefix(said[3], "AUTH ") {
		t.Errorf("said %q", said)
	}
}

func TestNoLoginWithoutCredentials(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSImplicit})
	mustDeliver(t, newTestPool(t, srv.upstream()), mail(greeting))
	if slices.ContainsFunc(srv.said(), func(s string) bool { return strings.HasPrefix(s, "AUTH") }) {
		t.Error("logged in")
	}
}

func TestLoginFaults(t *testing.T) {
	t.Parallel()
	password := rand.Text()
	answer := func(text string) func(int, string, string) string {
		return func(_ int, verb, _ string) string {
			if verb == "AUTH" {
				return text
			}
			return ""
		}
	}
	tests := []struct {
		name     string
		script   script
		password string
		class    Class
		text     string
	}{
		{"refused", script{on: answer("535 5.7.8 no")}, password, ClassAuthentication, "no"},
		{"refused with another code", script{on: answer("550 go away")}, password, ClassAuthentication, "go away"},
		{"refused for now", script{on: answer("454 4.7.0 try later")}, password, ClassThrottle, "try later"},
		{"no AUTH", script{keywords: []string{"PIPELINING"}}, password, ClassAuthentication, "does not offer AUTH"},
		{"unknown mechanisms only", script{keywords: []string{"AUTH CRAM-MD5 XOAUTH2"}}, password,
			ClassAuthentication, "offers CRAM-MD5 XOAUTH2"},
		{"NUL in the password", script{}, "a\x00b", ClassAuthentication, "NUL"},
		{"password in the reply", script{on: answer("535 5.7.8 wrong: " + password)}, password, ClassAuthentication, "<redacted>"},
		{"endless questions", script{on: answer("334 more")}, password, ClassConnect, "unexpected reply"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.script.mode = config.TLSImplicit
			srv := newServer(t, test.script)
			u := srv.upstream()
			u.Username, u.Password = "app", test.password
			err := mustFail(t, newTestPool(t, u), mail(greeting))
			if err.Class != test.class || err.Step != StepAUTH || !strings.Contains(err.Text, test.text) {
				t.Errorf("%s at %s: %q", err.Class, err.Step, err.Text)
			}
			if !err.Temporary || !err.concernsUpstream() {
				t.Error("a login that fails must not touch the message")
			}
			if strings.Contains(err.Error(), test.password) {
				t.Error("the error has the password")
			}
		})
	}
}
