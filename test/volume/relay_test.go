//go:build load

package volume

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/test/stand"
	"github.com/mailrelay-dev/mailrelay-operator/test/traffic"
)

var (
	program   = flag.String("relay", "", "the relay's program")
	directory = flag.String("directory", os.TempDir(), "where the spool is made; a real disk")
)

// upstream takes mail only while it is open.
type upstream struct {
	traffic.Sink
	open atomic.Bool
}

// newStand makes a relay's directory on the disk, with an upstream that is closed.
func newStand(t *testing.T, message func([]byte) string) (*stand.Stand, *upstream) {
	t.Helper()
	ca, err := traffic.NewAuthority()
	must(t, err)
	certificate, err := ca.Server("sink.test")
	must(t, err)
	u := &upstream{}
	u.TLS, u.Message = traffic.ServerTLS(certificate), message
	u.Answer = func(verb string) string {
		if verb == "GREETING" && !u.open.Load() {
			return "421 4.3.2 closed"
		}
		return ""
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	u.Serve(l)
	t.Cleanup(u.Close)
	path, err := os.MkdirTemp(*directory, "mailrelay-volume-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(path) })
	s, err := stand.New(stand.Options{
		Directory: path, Program: *program, Authority: ca, Sink: l.Addr().String(),
		Change: func(c *config.Config) { c.Queue.RetryInitial, c.Queue.RetryMax = time.Second, time.Second },
	})
	must(t, err)
	return s, u
}

func start(t *testing.T, s *stand.Stand) *stand.Relay {
	t.Helper()
	began := time.Now()
	r, err := s.Start(t.Context())
	must(t, err)
	t.Logf("ready after %v", time.Since(began).Round(time.Millisecond))
	t.Cleanup(r.Kill)
	return r
}

// memory is a size of the relay's process in MB: "VmRSS" now, "VmHWM" at most so far.
func memory(t *testing.T, r *stand.Relay, kind string) int {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", r.PID()))
	must(t, err)
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var kibibytes int
		if _, err := fmt.Sscanf(s.Text(), kind+": %d kB", &kibibytes); err == nil {
			return kibibytes << 10 / 1_000_000
		}
	}
	t.Fatalf("the kernel does not tell %s", kind)
	return 0
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
