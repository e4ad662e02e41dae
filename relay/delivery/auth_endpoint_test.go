package delivery

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// endpoint is a token endpoint that gives a new token for each request.
type endpoint struct {
	*httptest.Server

	mu sync.Mutex
	// life of tokens in seconds; zero says nothing of it.
	life int
	// rotates replaces the refresh token each time.
	rotates bool
	// answer replaces the usual one, when it is not nil.
	answer http.HandlerFunc
	// issued are called with each token.
	issued   []func(token string)
	tokens   []string
	requests []url.Values
	// refresh is the refresh token that is valid.
	refresh string
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	e := &endpoint{refresh: rand.Text(), life: 3600}
	e.Server = httptest.NewTLSServer(e)
	t.Cleanup(e.Close)
	return e
}

// upstream gives an upstream the credentials for the endpoint.
func (e *endpoint) upstream(u config.ResolvedUpstream) config.ResolvedUpstream {
	u.Auth.OAuth2 = config.OAuth2{TokenURL: e.URL + "/token", Scopes: []string{"mail.send", "offline"}}
	u.Login = config.Login{Username: account, ClientID: "relay", ClientSecret: rand.Text()}
	u.TokenRootCAs = x509.NewCertPool()
	u.TokenRootCAs.AddCert(e.Certificate())
	return u
}

// ServeHTTP implements http.Handler.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = r.ParseForm()
	if user, password, ok := r.BasicAuth(); ok {
		r.PostForm.Set("client_id", user)
		r.PostForm.Set("client_secret", password)
	}
	e.requests = append(e.requests, maps.Clone(r.PostForm))
	if e.answer != nil {
		e.answer(w, r)
		return
	}
	if given := r.PostForm.Get(refreshToken); r.PostForm.Get("grant_type") == refreshToken && given != e.refresh {
		refuseToken(w, "invalid_grant", "the token "+given+" has expired")
		return
	}
	token := newToken()
	e.tokens = append(e.tokens, token)
	for _, f := range e.issued {
		f(token)
	}
	body := map[string]any{"access_token": token, "token_type": "Bearer"}
	if e.life > 0 {
		body["expires_in"] = e.life
	}
	if e.rotates {
		e.refresh = rand.Text()
		body[refreshToken] = e.refresh
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

// refuseToken answers with an error (RFC 6749 §5.2).
func refuseToken(w http.ResponseWriter, code, description string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": description})
}

func (e *endpoint) set(change func(*endpoint)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(e)
}

// asked are the requests so far.
func (e *endpoint) asked() []url.Values {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]url.Values(nil), e.requests...)
}
