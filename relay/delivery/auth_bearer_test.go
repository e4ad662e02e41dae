package delivery

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// tokenSite is an upstream that takes the newest token of an endpoint.
func tokenSite(t *testing.T, mechanism string, change ...func(*script)) (*server, *endpoint, config.ResolvedUpstream) {
	t.Helper()
	l, e := newLogins(t, ""), newEndpoint(t)
	e.issued = append(e.issued, func(token string) { l.allow(token) })
	s := script{mode: config.TLSImplicit, keywords: []string{"AUTH PLAIN " + mechanism}, logins: l}
	for _, f := range change {
		f(&s)
	}
	srv := newServer(t, s)
	return srv, e, e.upstream(srv.upstream())
}

// withTokens makes the connections of a pool share their tokens.
func withTokens(p *pool) { p.dialer.tokens = newTokenSource(p.dialer.upstream, p.clock) }

var tokenMechanisms = []string{config.AuthOAuthBearer, config.AuthXOAuth2}

func TestTokenLogsIn(t *testing.T) {
	t.Parallel()
	for _, mechanism := range tokenMechanisms {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			srv, e, u := tokenSite(t, mechanism)
			p := newTestPool(t, u, withTokens, func(p *pool) { p.messagesPerConnection = 1 })
			for range 3 {
				mustDeliver(t, p, mail(greeting))
			}
			if n := len(e.asked()); n != 1 || srv.connections() != 3 {
				t.Errorf("%d tokens for %d connections", n, srv.connections())
			}
			request := e.asked()[0]
			if request.Get("grant_type") != "client_credentials" || request.Get("scope") != "mail.send offline" ||
				request.Get("client_id") != "relay" || request.Get("client_secret") != u.ClientSecret {
				t.Error("the request for a token is not that of RFC 6749 §4.4.2")
			}
			// Tokens are longer than a command line may be.
			if said := srv.said(); said[1] != "AUTH "+mechanism {
				t.Errorf("said %.40q", said[1])
			}
		})
	}
}

func TestShortTokenIsAnInitialResponse(t *testing.T) {
	t.Parallel()
	d := &dialer{upstream: config.ResolvedUpstream{
		Upstream: config.Upstream{Host: "smtp.test", Port: 465}, Login: config.Login{Username: account},
	}}
	for mechanism, want := range map[string]string{
		config.AuthXOAuth2:     "user=" + account + "\x01auth=Bearer t\x01\x01",
		config.AuthOAuthBearer: "n,a=app=2C=3D@example.com,\x01host=smtp.test\x01port=465\x01auth=Bearer t\x01\x01",
	} {
		if name, got, ok := d.bearer(mechanism, "t").start(); name != mechanism || got != want || !ok {
			t.Errorf("%s begins with %q", name, got)
		}
	}
}

func TestWithdrawnTokenIsReplacedWithinTheLogin(t *testing.T) {
	t.Parallel()
	for _, mechanism := range tokenMechanisms {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			srv, e, u := tokenSite(t, mechanism)
			p := newTestPool(t, u, withTokens, func(p *pool) { p.messagesPerConnection = 1 })
			mustDeliver(t, p, mail(greeting))
			srv.script.logins.allow()
			mustDeliver(t, p, mail(greeting))
			if n := len(e.asked()); n != 2 || srv.connections() != 2 || srv.script.logins.failures() != 1 {
				t.Errorf("%d tokens, %d connections, %d failed logins", n, srv.connections(), srv.script.logins.failures())
			}
			acknowledged := map[string]string{config.AuthXOAuth2: "", config.AuthOAuthBearer: "AQ=="}[mechanism]
			// The first connection may say goodbye at any time.
			said := strings.ReplaceAll(strings.Join(srv.said(), "\n"), "\nQUIT", "")
			if !strings.Contains(said, "\n"+acknowledged+"\nAUTH "+mechanism+"\n") {
				t.Error("the reason of the refusal was not acknowledged")
			}
		})
	}
}

func TestNewTokenThatIsRefusedIsNotTriedAgainAtOnce(t *testing.T) {
	t.Parallel()
	for _, mechanism := range tokenMechanisms {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			srv, e, u := tokenSite(t, mechanism)
			e.set(func(e *endpoint) { e.issued = nil })
			p := newTestPool(t, u, withTokens)
			err := mustFail(t, p, mail(greeting))
			if err.Class != ClassAuthentication || err.Code != 535 || !strings.Contains(err.Text, "says of the token: ") {
				t.Errorf("%+v", err)
			}
			if len(e.asked()) != 1 || srv.script.logins.failures() != 1 {
				t.Errorf("%d tokens, %d failed logins", len(e.asked()), srv.script.logins.failures())
			}
			// The next attempt does not begin with what was refused.
			mustFail(t, p, mail(greeting))
			if len(e.asked()) != 2 {
				t.Errorf("%d tokens", len(e.asked()))
			}
		})
	}
}

func TestTokenIsInNoError(t *testing.T) {
	t.Parallel()
	var token string
	_, e, u := tokenSite(t, config.AuthXOAuth2, func(s *script) {
		s.logins.tamper = func(int, string) string { return `{"status":"what is ` + token + `"}` }
		s.on = func(_ int, verb, line string) string {
			if verb == "AUTH" {
				return "535 5.7.8 refused: " + token + " and " + encode("user="+account+"\x01auth=Bearer "+token+"\x01\x01")
			}
			return ""
		}
	})
	// Short enough for a reply.
	token = newToken()[:200]
	e.set(func(e *endpoint) {
		e.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"access_token":"` + token + `"}`))
		}
	})
	err := mustFail(t, newTestPool(t, u, withTokens), mail(greeting))
	if err.Class != ClassAuthentication || strings.Contains(err.Text, token[:20]) || strings.Contains(err.Text, encode(token)[:20]) {
		t.Errorf("%+v", err)
	}
}

func TestTokenEndpointFaults(t *testing.T) {
	t.Parallel()
	answer := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	elsewhere := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
	}
	const asJSON = "application/json"
	tests := []struct {
		name   string
		answer http.HandlerFunc
		class  Class
		text   string
	}{
		{"refresh token withdrawn", answer(400, asJSON, `{"error":"invalid_grant","error_description":"AADSTS70008: expired"}`),
			ClassAuthentication, "refuses the credentials: invalid_grant (the refresh token has expired or was withdrawn: allow the relay access again and store the new one): AADSTS70008: expired"},
		{"client secret expired", answer(401, asJSON, `{"error":"invalid_client"}`), ClassAuthentication, "invalid_client (check the client ID"},
		{"refused with 200", answer(200, asJSON, `{"error":"invalid_scope"}`), ClassAuthentication, "invalid_scope (check the scopes)"},
		{"code that no standard knows", answer(400, asJSON, `{"error":"\u0007odd"}`), ClassAuthentication, "refuses the credentials: ?odd"},
		{"wrong URL", answer(404, "text/html", "<html>"), ClassAuthentication, "answers 404, and not with a token: check the token URL"},
		{"somewhere else", elsewhere, ClassAuthentication, "answers 307"},
		{"overloaded", answer(503, "text/html", "later"), ClassConnect, "has trouble: 503"},
		{"too many requests", answer(429, asJSON, `{"error":"slow_down"}`), ClassConnect, "has trouble: 429 slow_down"},
		{"trouble of its own", answer(400, asJSON, `{"error":"temporarily_unavailable"}`), ClassConnect, "has trouble: 400 temporarily_unavailable"},
		{"no JSON", answer(200, asJSON, "{"), ClassConnect, "gave no token"},
		{"no token", answer(200, asJSON, "{}"), ClassConnect, "gave no token"},
		{"token that would end its field", answer(200, asJSON, `{"access_token":"a\u0001b"}`), ClassConnect, "characters that no token has"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv, e, u := tokenSite(t, config.AuthXOAuth2)
			e.set(func(e *endpoint) { e.answer = test.answer })
			err := mustFail(t, newTestPool(t, u, withTokens), mail(greeting))
			if err.Class != test.class || err.Step != StepAUTH || !strings.Contains(err.Text, test.text) {
				t.Errorf("%s: %q", err.Class, err.Text)
			}
			if !err.Temporary || !err.concernsUpstream() {
				t.Error("a login that fails must not touch the message")
			}
			if said := srv.said(); len(said) != 1 {
				t.Errorf("said %q", said)
			}
		})
	}
}

func TestCredentialsAreInNoErrorOfTheTokenEndpoint(t *testing.T) {
	t.Parallel()
	_, e, u := tokenSite(t, config.AuthXOAuth2)
	u.RefreshToken = newToken()[:50]
	pad := strings.Repeat("x", maxDescription-20)
	e.set(func(e *endpoint) {
		e.answer = func(w http.ResponseWriter, _ *http.Request) {
			refuseToken(w, u.ClientSecret, pad+u.RefreshToken+u.ClientSecret)
		}
	})
	err := mustFail(t, newTestPool(t, u, withTokens), mail(greeting))
	if strings.Contains(err.Text, u.ClientSecret[:10]) || strings.Contains(err.Text, u.RefreshToken[:10]) || !strings.Contains(err.Text, pad) {
		t.Errorf("%q", err.Text)
	}
}

func TestUnreachableTokenEndpointIsNotTheCredentialsFault(t *testing.T) {
	t.Parallel()
	_, e, u := tokenSite(t, config.AuthXOAuth2)
	e.Close()
	err := mustFail(t, newTestPool(t, u, withTokens), mail(greeting))
	if err.Class != ClassConnect || !strings.Contains(err.Text, "the token endpoint 127.0.0.1:") || strings.Contains(err.Text, "/token\"") {
		t.Errorf("%+v", err)
	}
	u.TokenRootCAs = nil
	e = newEndpoint(t)
	u.Auth.OAuth2.TokenURL = e.URL
	if err := mustFail(t, newTestPool(t, u, withTokens), mail(greeting)); err.Class != ClassConnect || len(e.asked()) != 0 {
		t.Errorf("an endpoint that nobody vouches for: %+v, %d requests", err, len(e.asked()))
	}
}
