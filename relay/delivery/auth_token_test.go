package delivery

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// newTestTokens is a source of tokens on a clock that is moved by hand.
func newTestTokens(t *testing.T, change ...func(*config.ResolvedUpstream)) (*tokenSource, *endpoint, *fakeClock) {
	t.Helper()
	e, clock := newEndpoint(t), newFakeClock()
	u := e.upstream(config.ResolvedUpstream{Upstream: config.Upstream{Name: "test"}})
	for _, f := range change {
		f(&u)
	}
	return newTokenSource(u, clock), e, clock
}

func mustGet(t *testing.T, s *tokenSource) string {
	t.Helper()
	token, _, failure := s.get(t.Context())
	if failure != nil {
		t.Fatal(failure)
	}
	return token
}

// settle waits for a fetch that is under way.
func (s *tokenSource) settle() {
	s.mu.Lock()
	f := s.fetching
	s.mu.Unlock()
	if f != nil {
		<-f.done
	}
}

func TestTokenIsKeptAndRenewedAheadOfItsEnd(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		life int
		// ahead is when it is renewed.
		ahead time.Duration
	}{
		{"an hour", 3600, time.Minute},
		{"five minutes", 300, 30 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, e, clock := newTestTokens(t)
			e.set(func(e *endpoint) { e.life = test.life })
			first := mustGet(t, s)
			clock.advance(time.Duration(test.life)*time.Second - test.ahead - 2*time.Second)
			again := mustGet(t, s)
			s.settle()
			if again != first || len(e.asked()) != 1 {
				t.Fatalf("renewed too early, %d requests", len(e.asked()))
			}
			clock.advance(2 * time.Second)
			if again := mustGet(t, s); again != first {
				t.Error("a login waits although there is a token")
			}
			s.settle()
			if again := mustGet(t, s); again == first || len(e.asked()) != 2 {
				t.Errorf("not renewed, %d requests", len(e.asked()))
			}
		})
	}
}

func TestTokenWithoutAnEndIsKept(t *testing.T) {
	t.Parallel()
	s, e, clock := newTestTokens(t)
	e.set(func(e *endpoint) { e.life = 0 })
	first := mustGet(t, s)
	clock.advance(1000 * time.Hour)
	if again := mustGet(t, s); again != first || len(e.asked()) != 1 {
		t.Errorf("%d requests", len(e.asked()))
	}
}

func TestLoginsAtOnceShareARequest(t *testing.T) {
	t.Parallel()
	s, e, _ := newTestTokens(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	e.set(func(e *endpoint) { e.issued = append(e.issued, func(string) { close(arrived); <-release }) })
	var logins sync.WaitGroup
	tokens := make([]string, 20)
	for i := range tokens {
		logins.Go(func() { tokens[i], _, _ = s.get(context.Background()) })
	}
	<-arrived
	// One that gives up takes nothing away from the others.
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, failure := s.get(gone); failure == nil || failure.Class != ClassConnect {
		t.Errorf("a login that is cancelled: %v", failure)
	}
	close(release)
	logins.Wait()
	for _, token := range tokens {
		if token == "" || token != tokens[0] {
			t.Fatal("not the same token for all")
		}
	}
	if n := len(e.asked()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestRenewalThatFailsLeavesTheToken(t *testing.T) {
	t.Parallel()
	s, e, clock := newTestTokens(t)
	first := mustGet(t, s)
	e.set(func(e *endpoint) {
		e.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	})
	clock.advance(time.Hour - 30*time.Second)
	for range 5 {
		if token := mustGet(t, s); token != first {
			t.Fatal("another token")
		}
		s.settle()
	}
	failed := len(e.asked()) - 1
	clock.advance(renewAgain)
	mustGet(t, s)
	s.settle()
	if again := len(e.asked()) - 1; failed > 2 || again <= failed {
		t.Errorf("%d requests at first, then %d", failed, again)
	}
	clock.advance(time.Minute)
	if _, _, failure := s.get(t.Context()); failure == nil || failure.Class != ClassConnect {
		t.Errorf("a token that has ended is used: %v", failure)
	}
}

func TestRefreshTokenIsUsedOnAndOnAsTheEndpointReplacesIt(t *testing.T) {
	t.Parallel()
	s, e, clock := newTestTokens(t)
	e.set(func(e *endpoint) { e.rotates = true })
	u := s.upstream
	u.RefreshToken = e.refresh
	sources := new(Tokens)
	for range 3 {
		// Each time the upstream was held in between, with new connections after it.
		mustGet(t, sources.of(u, clock))
		clock.advance(2 * time.Hour)
	}
	requests := e.asked()
	for i, request := range requests[len(requests)-3:] {
		if request.Get("grant_type") != refreshToken || request.Get("scope") != "mail.send offline" {
			t.Error("the request is not that of RFC 6749 §6")
		}
		if first := request.Get(refreshToken) == u.RefreshToken; first != (i == 0) {
			t.Errorf("request %d has the refresh token of the configuration: %t", i, first)
		}
	}
}

func TestTokensFollowTheirCredentials(t *testing.T) {
	t.Parallel()
	s, e, clock := newTestTokens(t)
	sources := new(Tokens)
	u := s.upstream
	before := sources.of(u, clock)
	u.Limits.Connections++
	if sources.of(u, clock) != before {
		t.Error("the tokens are lost for a change that does not concern them")
	}
	for name, change := range map[string]func(*config.ResolvedUpstream){
		"client secret": func(u *config.ResolvedUpstream) { u.ClientSecret = "x" },
		"refresh token": func(u *config.ResolvedUpstream) { u.RefreshToken = "x" },
		"token URL":     func(u *config.ResolvedUpstream) { u.Auth.OAuth2.TokenURL = e.URL + "/other" },
		"scopes":        func(u *config.ResolvedUpstream) { u.Auth.OAuth2.Scopes = nil },
		"CA":            func(u *config.ResolvedUpstream) { u.TokenRootCAs = nil },
	} {
		other := u
		change(&other)
		if sources.of(other, clock) == before {
			t.Errorf("tokens of another %s are used", name)
		}
		if sameUpstream(u, other) {
			t.Errorf("connections with another %s are used", name)
		}
		before = sources.of(u, clock)
	}
	u.Auth.OAuth2 = config.OAuth2{}
	if sources.of(u, clock) != nil || len(sources.byName) != 0 {
		t.Error("tokens that are not needed are kept")
	}
}
