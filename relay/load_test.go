//go:build load

package relay_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// crowd is how many clients connect at once while a load is built up.
const crowd = 64

// each calls do for 0 to n-1, crowd at a time, and stops the test at the first error.
func each(t *testing.T, n int, do func(i int) error) {
	t.Helper()
	next, errs := make(chan int), make(chan error, n)
	var workers sync.WaitGroup
	for range crowd {
		workers.Go(func() {
			for i := range next {
				errs <- do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// dialFrom connects from one of many loopback addresses, as clients of a cluster would.
func dialFrom(i int, to net.Addr) (net.Conn, error) {
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%100))}
	return (&net.Dialer{LocalAddr: from, Timeout: time.Minute}).Dial("tcp", to.String())
}

// hello begins a session from address i, on port 465 or, for every other client, on 587.
func (r *running) hello(i int) (*smtp.Client, error) {
	to := []net.Addr{r.Submissions, r.Submission}[i%2]
	conn, err := dialFrom(i, to)
	if err != nil {
		return nil, err
	}
	if to == r.Submissions {
		conn = tls.Client(conn, r.tlsConfig())
	}
	c, err := smtp.NewClient(conn, hostname)
	if err != nil {
		return nil, fmt.Errorf("greeting of %d: %w", i, err)
	}
	if to == r.Submission {
		return c, c.StartTLS(r.tlsConfig())
	}
	return c, c.Hello("client.test")
}

// resident is the memory of the relay's process in MiB.
func (r *running) resident(t *testing.T) int {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", r.pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var kibibytes int
		if _, err := fmt.Sscanf(s.Text(), "VmRSS: %d kB", &kibibytes); err == nil {
			return kibibytes >> 10
		}
	}
	t.Fatal("the kernel does not tell the memory of the relay")
	return 0
}

// TestLoadIdleConnections holds 10,000 sessions that said EHLO and no more. All must live, and
// the relay must keep within 600 MB.
func TestLoadIdleConnections(t *testing.T) {
	const connections, limit = 10_000, 600
	r, _ := newSite(t, newUpstream(t)).spawn()
	before := r.resident(t)
	clients := make([]*smtp.Client, connections)
	began := time.Now()
	each(t, connections, func(i int) (err error) {
		clients[i], err = r.hello(i)
		return err
	})
	t.Logf("%d connections in %v", connections, time.Since(began).Round(time.Second))
	time.Sleep(5 * time.Second)
	idle := r.resident(t)
	t.Logf("resident: %d MiB before, %d MiB with %d idle connections, %d KiB each",
		before, idle, connections, (idle-before)<<10/connections)
	each(t, connections, func(i int) error { return clients[i].Noop() })
	awake := r.resident(t)
	t.Logf("resident: %d MiB after a NOOP on each", awake)
	if max(idle, awake)<<20 > limit*1_000_000 {
		t.Errorf("more than %d MB", limit)
	}
	each(t, connections, func(i int) error { return clients[i].Close() })
}

// TestLoadSlowBytes has 1,000 attackers send a byte a second each, in handshakes, commands
// and messages. An honest client must not notice.
func TestLoadSlowBytes(t *testing.T) {
	const attackers, samples = 1000, 100
	site := newSite(t, newUpstream(t))
	site.users("app.shop", "attacker")
	r, _ := site.spawn()
	alone := r.latencies(t, samples)

	victims := make([]io.WriteCloser, attackers)
	each(t, attackers, func(i int) (err error) {
		victims[i], err = r.attack(i)
		return err
	})
	stop := make(chan struct{})
	var dribbling sync.WaitGroup
	for _, w := range victims {
		dribbling.Go(func() {
			for tick := time.NewTicker(time.Second); ; {
				_, _ = w.Write([]byte("x"))
				select {
				case <-tick.C:
				case <-stop:
					_ = w.Close()
					return
				}
			}
		})
	}
	time.Sleep(2 * time.Second)
	attacked := r.latencies(t, samples)
	close(stop)
	dribbling.Wait()
	for name, took := range map[string][]time.Duration{"alone": alone, "attacked": attacked} {
		t.Logf("connect, log in and submit, %s: median %v, 95 %% %v, longest %v", name,
			took[samples/2].Round(time.Microsecond), took[samples*95/100].Round(time.Microsecond), took[samples-1].Round(time.Microsecond))
	}
	if limit := 2*alone[samples/2] + 50*time.Millisecond; attacked[samples/2] > limit {
		t.Errorf("the median grew to more than %v", limit)
	}
}

// attack opens a connection and returns it where single bytes keep it waiting.
func (r *running) attack(i int) (io.WriteCloser, error) {
	if i%3 == 0 {
		conn, err := dialFrom(i, r.Submissions)
		if err == nil {
			_, err = io.WriteString(conn, "\x16\x03\x01\x02\x00") // and 512 bytes to come
		}
		return conn, err
	}
	c, err := r.hello(i)
	if err != nil || i%3 == 1 {
		return wire{c}, err
	}
	if err := r.login(c, "attacker", r.site.password); err != nil {
		return nil, err
	}
	for _, command := range []string{"MAIL FROM:<app@example.com>", "RCPT TO:<bob@example.net>", "DATA"} {
		_ = c.Text.PrintfLine("%s", command)
		if _, reply, err := c.Text.ReadResponse(0); err != nil || strings.HasPrefix(reply, "5") {
			return nil, fmt.Errorf("%s: %s, %w", command, reply, err)
		}
	}
	return wire{c}, nil
}

// wire writes to the connection of a client at once.
type wire struct{ *smtp.Client }

func (w wire) Write(p []byte) (int, error) {
	n, err := w.Text.W.Write(p)
	if err == nil {
		err = w.Text.W.Flush()
	}
	return n, err
}

// latencies are how long a client took for each message over a connection of its own, sorted.
func (r *running) latencies(t *testing.T, samples int) []time.Duration {
	t.Helper()
	took := make([]time.Duration, samples)
	for i := range took {
		began := time.Now()
		if err := r.submit(t, "submissions", "app.shop", body(fmt.Sprintf("sample %d", i))); err != nil {
			t.Fatal(err)
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took
}
