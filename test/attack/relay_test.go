//go:build attack

package attack

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// hostname is the relay's.
const hostname = "relay.test"

// relay is a process of bin/relay, with its configuration.
type relay struct {
	cmd  *exec.Cmd
	dir  string
	pair *pair
	// address is that of each port.
	address map[string]string
	probes  string
	// password is that of every user.
	password string
	log      *buffer
}

// buffer is a log that can be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// users are those that every relay has. All may send as anybody at example.com.
var users = []string{"app.shop", "rotating.shop", "attacker"}

// start runs a relay in front of a provider until the test ends. Its keys and passwords are
// made for it.
func start(t *testing.T, u *upstream, changes ...func(*config.Config)) *relay {
	t.Helper()
	r := &relay{
		dir: t.TempDir(), pair: newPair(t, hostname), password: rand.Text(), log: &buffer{}, probes: freeAddress(t),
		address: map[string]string{"465": freeAddress(t), "587": freeAddress(t)},
	}
	r.write(t, "tls.crt", r.pair.certificate)
	r.write(t, "tls.key", r.pair.key)
	r.write(t, "upstream.crt", u.pair.certificate)
	r.write(t, "upstream.user", u.username)
	r.write(t, "upstream.password", u.password)
	r.writeUsers(t)
	c := r.config(u)
	for _, change := range changes {
		change(c)
	}
	data, err := config.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	r.write(t, "relay.yaml", string(data))
	if err := os.Mkdir(filepath.Join(r.dir, "spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.run(t)
	return r
}

func (r *relay) config(u *upstream) *config.Config {
	host, port := u.hostPort()
	return &config.Config{
		Version: config.Version, Hostname: hostname,
		Listeners: config.Listeners{
			Submissions: config.Listener{Address: r.address["465"]}, Submission: config.Listener{Address: r.address["587"]},
		},
		TLS: config.TLS{Internal: config.KeyPair{CertFile: "tls.crt", KeyFile: "tls.key"}},
		Upstreams: []config.Upstream{{
			Name: "provider", Host: host, Port: port, TLS: u.mode, CAFile: "upstream.crt",
			Auth: config.Auth{UsernameFile: "upstream.user", PasswordFile: "upstream.password"},
		}},
		Users:   config.Users{Files: []string{"users.yaml"}},
		Queue:   config.Queue{Directory: "spool", RetryInitial: 50 * time.Millisecond, RetryMax: 100 * time.Millisecond, LowSpace: 1 << 20},
		Logging: config.Logging{Level: config.LevelDebug},
		Admin:   config.Admin{Probes: r.probes, Metrics: "off", Status: "off"},
	}
}

func (r *relay) writeUsers(t *testing.T) {
	t.Helper()
	verifier, err := config.NewVerifier(r.password)
	if err != nil {
		t.Fatal(err)
	}
	older, err := config.NewVerifier(rand.Text())
	if err != nil {
		t.Fatal(err)
	}
	f := &config.UserFile{Version: config.Version}
	for _, name := range users {
		u := config.User{Name: name, Passwords: []config.Verifier{verifier}, Senders: []string{"example.com"}}
		if name == "rotating.shop" {
			u.Passwords = append(u.Passwords, older)
		}
		f.Users = append(f.Users, u)
	}
	data, err := config.MarshalUserFile(f)
	if err != nil {
		t.Fatal(err)
	}
	r.write(t, "users.yaml", string(data))
}

func (r *relay) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run starts the process and waits until it is ready.
func (r *relay) run(t *testing.T) {
	t.Helper()
	binary, err := filepath.Abs(filepath.Join("..", "..", "bin", "relay"))
	if err != nil {
		t.Fatal(err)
	}
	r.cmd = exec.Command(binary, "serve", "--config", filepath.Join(r.dir, "relay.yaml"))
	r.cmd.Stdout, r.cmd.Stderr = r.log, r.log
	if err := r.cmd.Start(); err != nil {
		t.Fatalf("%v: run this suite with 'make attack'", err)
	}
	t.Cleanup(func() { r.end(t) })
	waitFor(t, "the relay is ready", func() bool {
		response, err := http.Get("http://" + r.probes + "/readyz")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// end kills the relay, and looks at what it left behind: none of the attacks may end it, make
// it panic, or bring a password into its log.
func (r *relay) end(t *testing.T) {
	t.Helper()
	err := r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	log := r.log.String()
	if err != nil {
		t.Errorf("the relay ended by itself: %v", err)
	}
	for _, trouble := range []string{"panic", "goroutine ", "DATA RACE"} {
		if strings.Contains(log, trouble) {
			t.Errorf("%q is in the log", trouble)
		}
	}
	for _, user := range users {
		for _, secret := range []string{r.password, base64.StdEncoding.EncodeToString([]byte(r.password)), plain("", user, r.password)} {
			if strings.Contains(log, secret) {
				t.Errorf("the password of %s is in the log", user)
			}
		}
	}
	if t.Failed() {
		t.Logf("the end of the log:\n%s", log[max(0, len(log)-4000):])
	}
}

func (r *relay) tlsConfig() *tls.Config {
	return &tls.Config{RootCAs: r.pair.pool(), ServerName: hostname, MinVersion: tls.VersionTLS12}
}

// memory is a size of the relay's process in MiB: "VmRSS" now, "VmHWM" at most so far.
func (r *relay) memory(t testing.TB, kind string) int {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var kibibytes int
		if _, err := fmt.Sscanf(s.Text(), kind+": %d kB", &kibibytes); err == nil {
			return kibibytes >> 10
		}
	}
	t.Fatalf("the kernel does not tell %s", kind)
	return 0
}

// freeAddress is a loopback address that nobody listened on a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func waitFor(t testing.TB, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !reached(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
