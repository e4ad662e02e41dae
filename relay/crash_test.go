package relay_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay"
)

// crashConfig names the relay.yaml of a relay that a test runs in a process of its own.
const crashConfig = "MAILRELAY_TEST_CONFIG"

// TestMain turns the test binary into a relay when a test starts it as one.
func TestMain(m *testing.M) {
	path := os.Getenv(crashConfig)
	if path == "" {
		os.Exit(m.Run())
	}
	err := relay.Serve(context.Background(), relay.Options{
		ConfigFile: path,
		Logger:     slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
		OnReady: func(a relay.Addresses) {
			_ = json.NewEncoder(os.Stdout).Encode([]string{a.Submissions.String(), a.Submission.String(), a.Status.String()})
		},
	})
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// spawn runs a relay in a process of its own until kill is called.
func (s *site) spawn() (r *running, kill func()) {
	s.t.Helper()
	executable, err := os.Executable()
	s.ca.must(err)
	cmd := exec.Command(executable)
	cmd.Env = append(os.Environ(), crashConfig+"="+filepath.Join(s.path, "relay.yaml"))
	cmd.Stderr = s.log
	stdout, err := cmd.StdoutPipe()
	s.ca.must(err)
	s.ca.must(cmd.Start())
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	s.t.Cleanup(kill)
	var addresses []string
	line, _ := bufio.NewReader(stdout).ReadBytes('\n')
	if err := json.Unmarshal(line, &addresses); err != nil {
		kill()
		s.t.Fatalf("the relay did not start: %s", s.log)
	}
	r = &running{site: s, pid: cmd.Process.Pid}
	for i, a := range []*net.Addr{&r.Submissions, &r.Submission, &r.Status} {
		*a, err = net.ResolveTCPAddr("tcp", addresses[i])
		s.ca.must(err)
	}
	return r, kill
}

func TestAcceptedMailSurvivesSIGKILL(t *testing.T) {
	t.Parallel()
	const clients, each = 10, 20
	u := newUpstream(t)
	site := newSite(t, u)
	address := fmt.Sprintf("%s:%d", u.host, u.port)
	u.stop()
	r, kill := site.spawn()
	var submitting sync.WaitGroup
	for i := range clients {
		submitting.Go(func() {
			c := r.dial(t, "submissions")
			if err := r.login(c, "app.shop", site.password); err != nil {
				t.Error(err)
			}
			for j := range each {
				if err := send(c, body(fmt.Sprintf("from %d number %d.", i, j))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	submitting.Wait()
	kill()

	u.serve(t, address)
	r, _ = site.spawn()
	eventually(t, "an empty queue", func() bool { return r.status(t).Queue.Messages == 0 })
	for i := range clients {
		for j := range each {
			if _, found := u.find(fmt.Sprintf("from %d number %d.", i, j)); !found {
				t.Errorf("message %d of client %d is lost", j, i)
			}
		}
	}
	if !strings.Contains(site.log.String(), "user=app.shop") {
		t.Error("the log of the processes is not at hand")
	}
	site.checkSecrets("app.shop")
}
