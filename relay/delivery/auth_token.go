package delivery

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/url"
	"reflect"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

const (
	// tokenTimeout is for the token endpoint to answer.
	tokenTimeout = 30 * time.Second
	// renewAhead is how long before its end a token is renewed, or a tenth of its life when that
	// is less.
	renewAhead = time.Minute
	// renewAgain is the pause after a renewal ahead of time failed.
	renewAgain = 10 * time.Second
)

// refreshToken is the parameter of that name (RFC 6749 §6).
const refreshToken = "refresh_token"

// tokenSource gets the tokens of one upstream (RFC 6749), for all of its connections. A token
// is kept and renewed ahead of its end, by one request at a time.
type tokenSource struct {
	upstream config.ResolvedUpstream
	client   *http.Client
	clock    Clock

	// request is used by one fetch at a time. It has the refresh token in use.
	request clientcredentials.Config

	mu    sync.Mutex
	token string
	// renew is when to renew the token, and end when it ends; zero when that is not known.
	renew, end time.Time
	// fetching is under way, nil when nothing is.
	fetching *fetch
}

// fetch is one request for a token. Its result may be read once it is done.
type fetch struct {
	done    chan struct{}
	token   string
	failure *Error
}

func newTokenSource(u config.ResolvedUpstream, clock Clock) *tokenSource {
	o := &u.Auth.OAuth2
	s := &tokenSource{
		upstream: u,
		clock:    clock,
		client: &http.Client{
			Timeout: tokenTimeout,
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment,
				// Tokens are asked for once an hour or so.
				DisableKeepAlives: true,
				ForceAttemptHTTP2: true,
				TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: u.TokenRootCAs},
			},
			// Credentials go to the endpoint that is configured.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		request: clientcredentials.Config{
			ClientID: u.ClientID, ClientSecret: u.ClientSecret, TokenURL: o.TokenURL, Scopes: o.Scopes,
		},
	}
	if u.RefreshToken != "" {
		s.request.EndpointParams = url.Values{"grant_type": {refreshToken}, refreshToken: {u.RefreshToken}}
	}
	return s
}

// serves reports whether the source gets tokens for another upstream as well.
func (s *tokenSource) serves(u config.ResolvedUpstream) bool {
	return reflect.DeepEqual(s.upstream.Auth.OAuth2, u.Auth.OAuth2) && s.upstream.Login == u.Login &&
		samePool(s.upstream.TokenRootCAs, u.TokenRootCAs)
}

// get returns a token. kept means that it was got for an earlier login. It is waited for only
// when there is none that is valid.
func (s *tokenSource) get(ctx context.Context) (token string, kept bool, failure *Error) {
	s.mu.Lock()
	now := s.clock.Now()
	valid := s.token != "" && (s.end.IsZero() || now.Before(s.end))
	var f *fetch
	if !valid || !s.renew.IsZero() && !now.Before(s.renew) {
		f = s.begin()
	}
	token = s.token
	s.mu.Unlock()
	if valid {
		return token, true, nil
	}
	select {
	case <-f.done:
		return f.token, false, f.failure
	case <-ctx.Done():
		return "", false, lost(StepAUTH, ctx.Err())
	}
}

// drop forgets a token that was refused.
func (s *tokenSource) drop(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == token {
		s.token = ""
	}
}

// begin starts a fetch, unless one is under way. The source is locked.
func (s *tokenSource) begin() *fetch {
	if s.fetching == nil {
		s.fetching = &fetch{done: make(chan struct{})}
		go s.run(s.fetching)
	}
	return s.fetching
}

// run does not end with the connection that it is for: others wait for the same token.
func (s *tokenSource) run(f *fetch) {
	ctx, cancel := context.WithTimeout(context.Background(), tokenTimeout)
	defer cancel()
	token, err := s.request.Token(context.WithValue(ctx, oauth2.HTTPClient, s.client))
	if err == nil {
		err = checkToken(token)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(f.done)
	s.fetching = nil
	if err != nil {
		f.failure = s.explain(err)
		s.renew = s.clock.Now().Add(renewAgain)
		return
	}
	f.token = token.AccessToken
	s.keep(token)
}

// keep remembers a token, and the refresh token that came with it: the one before may not be
// valid any more (RFC 6749 §6).
func (s *tokenSource) keep(token *oauth2.Token) {
	s.token, s.renew, s.end = token.AccessToken, time.Time{}, time.Time{}
	if !token.Expiry.IsZero() {
		life := time.Until(token.Expiry)
		s.end = s.clock.Now().Add(life)
		s.renew = s.end.Add(-min(renewAhead, life/10))
	}
	if token.RefreshToken != "" && s.request.EndpointParams != nil {
		s.request.EndpointParams.Set(refreshToken, token.RefreshToken)
	}
}

// Tokens keep the OAuth2 tokens of upstreams, by their names. They outlive connections: a
// refresh token that an endpoint has replaced is nowhere else. Whoever logs in at the same
// upstreams should share them. The zero Tokens are empty.
type Tokens struct {
	mu     sync.Mutex
	byName map[string]*tokenSource
}

// of returns the source of an upstream, nil when it needs none. It stays the same as long as
// the credentials do.
func (t *Tokens) of(u config.ResolvedUpstream, clock Clock) *tokenSource {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !u.Auth.OAuth2.Enabled() {
		delete(t.byName, u.Name)
		return nil
	}
	if t.byName == nil {
		t.byName = make(map[string]*tokenSource)
	}
	if s := t.byName[u.Name]; s == nil || !s.serves(u) {
		t.byName[u.Name] = newTokenSource(u, clock)
	}
	return t.byName[u.Name]
}
