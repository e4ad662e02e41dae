//go:build load

package relay_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/policy"
)

const (
	manyUsers = 5000
	shards    = 16
	// reloadLimit is how long a relay may take to load one shard of manyUsers.
	reloadLimit = 200 * time.Millisecond
)

// shardOfMany is a sixteenth of many users, each with two passwords as in a rotation. All have
// the same password, since verifiers take long to make. Another edition changes one user.
func (s *site) shardOfMany(shard, edition int) {
	s.t.Helper()
	s.mountShard(shard, edition, s.renderShard(shard, edition))
}

func (s *site) mountShard(shard, edition int, data []byte) {
	s.t.Helper()
	s.mount(fmt.Sprintf("users-%02d", shard), edition, "users.yaml", data)
}

func (s *site) renderShard(shard, edition int) []byte {
	s.t.Helper()
	f := &config.UserFile{Version: config.Version}
	for i := shard; i < manyUsers; i += shards {
		f.Users = append(f.Users, config.User{
			Name: fmt.Sprintf("app-%d.team-%d", i, i%50), Passwords: []config.Verifier{s.verifier, s.verifier},
			Senders: []string{"example.com", fmt.Sprintf("app-%d@team-%d.example.com", i, i%50)}, MaxQueued: config.DefaultMaxQueued,
		})
	}
	f.Users[0].Senders = append(f.Users[0].Senders, fmt.Sprintf("edition-%d@example.com", edition))
	data, err := config.MarshalUserFile(f)
	s.ca.must(err)
	return data
}

// mount writes a file as the kubelet mounts a Secret: what changes is where ..data points.
func (s *site) mount(directory string, edition int, name string, data []byte) {
	s.t.Helper()
	path := filepath.Join(s.path, directory)
	version := fmt.Sprintf("..version-%d", edition)
	s.ca.must(os.MkdirAll(filepath.Join(path, version), 0o755))
	s.ca.must(os.WriteFile(filepath.Join(path, version, name), data, 0o600))
	s.ca.must(os.Symlink(version, filepath.Join(path, "..next")))
	s.ca.must(os.Rename(filepath.Join(path, "..next"), filepath.Join(path, "..data")))
	if edition == 0 {
		s.ca.must(os.Symlink(filepath.Join("..data", name), filepath.Join(path, name)))
	}
}

// manyShards gives a site many users in sixteen shards.
func (s *site) manyShards() {
	s.t.Helper()
	path := filepath.Join(s.path, "relay.yaml")
	content, err := os.ReadFile(path)
	s.ca.must(err)
	var files []string
	for shard := range shards {
		s.shardOfMany(shard, 0)
		files = append(files, fmt.Sprintf("    - users-%02d/users.yaml", shard))
	}
	s.write("relay.yaml", strings.Replace(string(content), "    - users/users.yaml", strings.Join(files, "\n"), 1))
}

// TestLoadReloadOfOneShard changes one user of 5,000, again and again.
func TestLoadReloadOfOneShard(t *testing.T) {
	s := newSite(t, newUpstream(t))
	s.manyShards()
	loader := config.NewLoader(filepath.Join(s.path, "relay.yaml"), config.LoaderOptions{})
	var users policy.Users
	began := time.Now()
	load := func() time.Duration {
		began := time.Now()
		snapshot, err := loader.Load()
		if err != nil || len(snapshot.Users) != manyUsers || len(snapshot.Errors) > 0 {
			t.Fatalf("loaded: %v, %+v", err, snapshot)
		}
		users.Replace(snapshot.Users)
		return time.Since(began)
	}
	load()
	t.Logf("all %d shards: %v", shards, time.Since(began).Round(time.Millisecond))
	took := make([]time.Duration, 50)
	for i := range took {
		s.shardOfMany(i%shards, i+1)
		took[i] = load()
	}
	slices.Sort(took)
	most := took[len(took)*9/10]
	t.Logf("one shard of %d with %d users: median %v, 90 %% %v, longest %v", shards, manyUsers,
		took[len(took)/2].Round(time.Millisecond), most.Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	if most > reloadLimit {
		t.Errorf("one in ten took more than %v", reloadLimit)
	}
}

// TestLoadLoginsWhileUsersChange logs in all the time, while one shard after the other changes.
func TestLoadLoginsWhileUsersChange(t *testing.T) {
	const clients, lasting = 8, 10 * time.Second
	s := newSite(t, newUpstream(t))
	s.manyShards()
	r, _ := s.spawn()
	logins := func(what string, goOn func(n int, since time.Time) bool) (median time.Duration) {
		var mu sync.Mutex
		var took []time.Duration
		from := time.Now()
		var workers sync.WaitGroup
		for i := range clients {
			workers.Go(func() {
				for n := i; goOn(n, from); n += clients {
					began, user := time.Now(), n%manyUsers
					if err := r.loginOnce(n, fmt.Sprintf("app-%d.team-%d", user, user%50)); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					took = append(took, time.Since(began))
					mu.Unlock()
				}
			})
		}
		workers.Wait()
		slices.Sort(took)
		if len(took) == 0 {
			t.Fatal("nobody logged in")
		}
		t.Logf("%s: %d logins a second; median %v, 99 %% %v, longest %v", what, int(float64(len(took))/time.Since(from).Seconds()),
			took[len(took)/2].Round(time.Microsecond), took[len(took)*99/100].Round(time.Microsecond), took[len(took)-1].Round(time.Microsecond))
		return took[len(took)/2]
	}
	logins("each user for the first time", func(n int, _ time.Time) bool { return n < manyUsers })
	forAWhile := func(_ int, since time.Time) bool { return time.Since(since) < lasting }
	still := logins("nothing changes", forAWhile)
	// What costs the operator time must not cost the clients any.
	editions := make([][]byte, 2*lasting/time.Second)
	for i := range editions {
		editions[i] = s.renderShard((i+1)%shards, i+1)
	}
	stop, stopped := make(chan struct{}), make(chan int)
	go func() {
		edition := 0
		for tick := time.NewTicker(500 * time.Millisecond); ; {
			select {
			case <-stop:
				stopped <- edition
				return
			case <-tick.C:
				if edition < len(editions) {
					edition++
					s.mountShard(edition%shards, edition, editions[edition-1])
				}
			}
		}
	}()
	changing := logins("a shard changes every half second", forAWhile)
	close(stop)
	t.Logf("%d shards changed; resident %d MiB", <-stopped, r.resident(t))
	if changing > still*3/2 {
		t.Errorf("the median login took %v, and %v while nothing changed", changing, still)
	}
}

// loginOnce connects from address i, logs in and leaves.
func (r *running) loginOnce(i int, user string) error {
	c, err := r.hello(i)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := r.login(c, user, r.site.password); err != nil {
		return fmt.Errorf("%s: %w", user, err)
	}
	return c.Quit()
}
