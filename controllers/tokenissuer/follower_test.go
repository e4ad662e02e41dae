package tokenissuer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-logr/logr"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// apiServer tells of an issuer, or answers with a status.
type apiServer struct {
	mu     sync.Mutex
	issuer string
	keys   []jose.JSONWebKey
	status int
	reads  int
}

func (a *apiServer) set(change func(*apiServer)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(a)
}

func (a *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.status != 0 {
		w.WriteHeader(a.status)
		return
	}
	var answer any
	switch r.URL.Path {
	case discoveryPath:
		a.reads++
		answer = map[string]any{"issuer": a.issuer, "jwks_uri": "https://192.0.2.1/keys", "response_types_supported": []string{"id_token"}}
	case keysPath:
		answer = jose.JSONWebKeySet{Keys: a.keys}
	default:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func newKey(t *testing.T, id string) jose.JSONWebKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{KeyID: id, Key: key.Public(), Algorithm: "ES256", Use: "sig"}
}

// following returns a Follower of an API server with the key "a". Each change of its state is
// counted.
func following(t *testing.T) (*apiServer, *Follower, *int) {
	t.Helper()
	api := &apiServer{issuer: "https://kubernetes.default.svc", keys: []jose.JSONWebKey{newKey(t, "a")}}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	client, err := discovery.NewDiscoveryClientForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	changes := 0
	f := New(client.RESTClient())
	f.Changed = func(context.Context) { changes++ }
	return api, f, &changes
}

func quiet(t *testing.T) context.Context { return log.IntoContext(t.Context(), logr.Discard()) }

// keyIDs are those that relays would read.
func keyIDs(t *testing.T, state State) string {
	t.Helper()
	known, err := config.ParseTokenKeys(state.Keys)
	if err != nil {
		t.Fatalf("%v in %q", err, state.Keys)
	}
	var ids []string
	for _, key := range known.Keys {
		ids = append(ids, key.KeyID)
	}
	return strings.Join(ids, " ") + " of " + known.Issuer
}

func TestKeysAreFollowed(t *testing.T) {
	t.Parallel()
	api, f, changes := following(t)
	check := func(when, want string, wantChanges int) {
		t.Helper()
		if !f.follow(quiet(t)) {
			t.Fatalf("%s: they cannot be read", when)
		}
		if got := keyIDs(t, f.State()); got != want || *changes != wantChanges || f.State().Problem != "" {
			t.Errorf("%s: %s, %d changes, problem %q; want %s, %d changes", when, got, *changes, f.State().Problem, want, wantChanges)
		}
	}
	check("at first", "a of https://kubernetes.default.svc", 1)
	check("again", "a of https://kubernetes.default.svc", 1)
	api.set(func(a *apiServer) { a.keys = append(a.keys, newKey(t, "b")) })
	check("with a new key", "a b of https://kubernetes.default.svc", 2)
	api.set(func(a *apiServer) { slices.Reverse(a.keys) })
	check("in another order", "a b of https://kubernetes.default.svc", 2)
	api.set(func(a *apiServer) { a.keys = a.keys[:1] })
	check("without the old key", "b of https://kubernetes.default.svc", 3)
	api.set(func(a *apiServer) { a.issuer = "https://other.test" })
	check("with another issuer", "b of https://other.test", 4)
}

func TestLastGoodKeysStayAndTroubleIsToldOnceItLasts(t *testing.T) {
	t.Parallel()
	api, f, changes := following(t)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.Now = func() time.Time { return now }
	f.follow(quiet(t))
	good := keyIDs(t, f.State())
	for name, spoil := range map[string]func(*apiServer){
		"forbidden":  func(a *apiServer) { a.status = http.StatusForbidden },
		"unreadable": func(a *apiServer) { a.status = 0; a.keys = nil },
		"overloaded": func(a *apiServer) { a.status = http.StatusServiceUnavailable },
	} {
		if api.set(spoil); f.follow(quiet(t)) || f.State().Problem != "" || keyIDs(t, f.State()) != good {
			t.Errorf("%s: %+v", name, f.State())
		}
	}
	now = now.Add(16 * time.Minute)
	api.set(func(a *apiServer) { a.status = http.StatusForbidden })
	f.follow(quiet(t))
	f.follow(quiet(t))
	if state := f.State(); !strings.Contains(state.Problem, "nonResourceURLs") || keyIDs(t, state) != good || *changes != 2 {
		t.Errorf("after a quarter of an hour: %+v, %d changes", state, *changes)
	}
	api.set(func(a *apiServer) { a.status, a.keys = 0, []jose.JSONWebKey{newKey(t, "a")} })
	if f.follow(quiet(t)); f.State().Problem != "" || *changes != 3 {
		t.Errorf("when it is well again: %+v, %d changes", f.State(), *changes)
	}
}

func TestKeysThatWereNeverReadAreTroubleAtOnce(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		http.StatusForbidden:           "give its ClusterRole the verb get",
		http.StatusNotFound:            "--service-account-issuer",
		http.StatusInternalServerError: "see the operator's log",
	} {
		api, f, changes := following(t)
		api.status = status
		if f.follow(quiet(t)) || f.State().Keys != nil || !strings.Contains(f.State().Problem, want) || *changes != 1 {
			t.Errorf("%d: %+v, %d changes", status, f.State(), *changes)
		}
	}
}

// TestReadingsAreAskedForButNotTooOften counts pauses, of which none is real.
func TestReadingsAreAskedForButNotTooOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := New(nil)
		begin := time.Now()
		lasted := func(what string, want time.Duration) {
			t.Helper()
			if !f.wait(t.Context(), time.Minute) {
				t.Fatalf("%s: ended", what)
			}
			if got := time.Since(begin); got != want {
				t.Errorf("%s: a pause of %s, want %s", what, got, want)
			}
			begin = time.Now()
		}
		lasted("nobody asked", time.Minute)
		f.Ask()
		f.Ask()
		lasted("asked at once", standard.shortest)
		lasted("asked twice, which is once", time.Minute)
		time.AfterFunc(20*time.Second, f.Ask)
		lasted("asked later", 20*time.Second)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if f.wait(ended, time.Minute) {
			t.Error("it goes on after its end")
		}
	})
}

// TestFollowerReadsAgainWhenAsked follows a rotation of the keys as Start does.
func TestFollowerReadsAgainWhenAsked(t *testing.T) {
	t.Parallel()
	api, f, _ := following(t)
	f.pauses.shortest = time.Millisecond
	changed := make(chan struct{})
	f.Changed = func(context.Context) { changed <- struct{}{} }
	ctx, cancel := context.WithCancel(quiet(t))
	ended := make(chan error)
	go func() { ended <- f.Start(ctx) }()
	<-changed
	api.set(func(a *apiServer) { a.keys = append(a.keys, newKey(t, "b")) })
	f.Ask()
	<-changed
	if got := keyIDs(t, f.State()); !strings.HasPrefix(got, "a b ") {
		t.Errorf("keys are %s", got)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
