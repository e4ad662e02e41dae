package delivery

import (
	"crypto/rand"
	"crypto/tls"
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
		{"password and its forms in a long reply", script{on: answer("535 5.7.8 " + strings.Repeat("x", maxReplyText-20) + encode("\x00app\x00"+password) + password)}, password,
			ClassAuthentication, "xxx"},
		{"refused with another code", script{on: answer("550 go away")}, password, ClassAuthentication, "go away"},
		{"refused for now", script{on: answer("454 4.7.0 try later")}, password, ClassThrottle, "try later"},
		{"no AUTH", script{keywords: []string{"PIPELINING"}}, password, ClassAuthentication, "does not offer AUTH"},
		{"unknown mechanisms only", script{keywords: []string{"AUTH CRAM-MD5 XOAUTH2"}}, password,
			ClassAuthentication, "offers CRAM-MD5 XOAUTH2"},
		{"NUL in the password", script{}, "a\x00b", ClassAuthentication, "NUL"},
		{"password in the reply", script{on: answer("535 5.7.8 wrong: " + password)}, password, ClassAuthentication, "<redacted>"},
		{"no reply at all, but what was sent", script{on: answer(strings.Repeat("x", maxReplyText-10) + password)}, password, ClassConnect, "malformed reply"},
		{"endless questions", script{on: answer("334 more")}, password, ClassConnect, "asks for more than AUTH PLAIN has to say"},
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
			for _, secret := range []string{test.password, test.password[:len(test.password)/2], encode("\x00app\x00" + test.password)[:12]} {
				if len(secret) > 3 && strings.Contains(err.Error(), secret) {
					t.Errorf("%q has the password, or a part of it", err)
				}
			}
		})
	}
}

func TestMechanismIsTheBestOfThoseOffered(t *testing.T) {
	t.Parallel()
	withPassword := func(u *config.ResolvedUpstream) { u.Username, u.Password = "app", "x" }
	withTokens := func(u *config.ResolvedUpstream) { u.Username, u.Auth.OAuth2.TokenURL = "app", "https://token.test/" }
	withCertificate := func(u *config.ResolvedUpstream) { u.ClientCertificate = new(tls.Certificate) }
	tests := []struct {
		name, offered, configured string
		credentials               []func(*config.ResolvedUpstream)
		want, refusal             string
	}{
		{"the password does not travel", "LOGIN PLAIN SCRAM-SHA-256", "", all(withPassword), "SCRAM-SHA-256", ""},
		{"the one that is set", "LOGIN PLAIN SCRAM-SHA-256", "LOGIN", all(withPassword), "LOGIN", ""},
		{"nothing that the relay knows", "CRAM-MD5 NTLM", "", all(withPassword), "", "does not offer AUTH SCRAM-SHA-256 or PLAIN or LOGIN; it offers CRAM-MD5 NTLM"},
		{"not the one that is set", "PLAIN", "SCRAM-SHA-256", all(withPassword), "", "does not offer AUTH SCRAM-SHA-256; it offers PLAIN"},
		{"the standard one for tokens", "PLAIN XOAUTH2 OAUTHBEARER", "", all(withTokens), "OAUTHBEARER", ""},
		{"the other one for tokens", "PLAIN XOAUTH2", "", all(withTokens), "XOAUTH2", ""},
		{"no password where there are tokens", "PLAIN LOGIN", "", all(withTokens), "", "does not offer AUTH OAUTHBEARER or XOAUTH2; it offers PLAIN LOGIN"},
		{"a certificate", "PLAIN EXTERNAL", "", all(withCertificate), "EXTERNAL", ""},
		{"a certificate that the handshake is enough for", "PLAIN", "", all(withCertificate), "", ""},
		{"a certificate that must log in", "PLAIN", "EXTERNAL", all(withCertificate), "", "does not offer AUTH EXTERNAL; it offers PLAIN"},
		{"a certificate and a password", "PLAIN EXTERNAL", "", all(withPassword, withCertificate), "PLAIN", ""},
		{"a certificate first", "PLAIN EXTERNAL", "EXTERNAL", all(withPassword, withCertificate), "EXTERNAL", ""},
		{"no password for the one that is set", "PLAIN", "PLAIN", all(withCertificate), "", "AUTH PLAIN cannot be used with the credentials that are set; EXTERNAL can"},
		{"nothing to log in with", "PLAIN", "", nil, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := &dialer{}
			for _, give := range test.credentials {
				give(&d.upstream)
			}
			got, err := chooseMechanism(test.configured, d.usableMechanisms(), parseExtensions([]string{"upstream.test", "AUTH " + test.offered}))
			if got != test.want || (err == nil) != (test.refusal == "") || err != nil && !strings.Contains(err.Error(), test.refusal) {
				t.Errorf("%q, %v; want %q, %q", got, err, test.want, test.refusal)
			}
		})
	}
}

func all(give ...func(*config.ResolvedUpstream)) []func(*config.ResolvedUpstream) { return give }

func TestEveryPasswordMechanismLogsIn(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{config.AuthPlain, config.AuthLogin, config.AuthSCRAM} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			password := rand.Text()
			srv := newServer(t, script{mode: config.TLSImplicit, keywords: []string{"AUTH " + mechanism}, logins: newLogins(t, password)})
			u := srv.upstream()
			u.Username, u.Password = account, password
			mustDeliver(t, newTestPool(t, u), mail(greeting))

			u.Password = rand.Text()
			err := mustFail(t, newTestPool(t, u), mail(greeting))
			if err.Class != ClassAuthentication || err.Code != 535 {
				t.Errorf("with a wrong password: %+v", err)
			}
		})
	}
}

func TestNoLineIsLongerThanAServerMustTake(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSImplicit, keywords: []string{"AUTH PLAIN"}})
	u := srv.upstream()
	u.Username, u.Password = "app", strings.Repeat(rand.Text(), 400)
	err := mustFail(t, newTestPool(t, u), mail(greeting))
	if err.Class != ClassAuthentication || !strings.Contains(err.Text, "too long for SMTP") {
		t.Errorf("%+v", err)
	}
	if said := srv.said(); !slices.Equal(said[1:], []string{"AUTH PLAIN", "*"}) {
		t.Errorf("said %d lines", len(said))
	}
}
