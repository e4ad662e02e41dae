package submission

import (
	"crypto/rand"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// connectFrom opens a connection from an address of this host.
func (f *fixture) connectFrom(address string) *client {
	f.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}, Timeout: 5 * time.Second}
	conn, err := dialer.Dial("tcp", f.address)
	if err != nil {
		f.t.Fatal(err)
	}
	c := f.encrypt(conn)
	c.expect("220 ")
	c.do("EHLO client.test", "250 ")
	return c
}

// pauses keeps how long each answer was held back.
type pauses struct {
	mu  sync.Mutex
	all []time.Duration
}

func (p *pauses) pause(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, d)
}

func (p *pauses) take() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.all
	p.all = nil
	return taken
}

func TestFailuresAreSlowedOverAllConnections(t *testing.T) {
	t.Parallel()
	held := &pauses{}
	f, submissions, _ := behindFrontDoor(t, func(f *fixture) { f.pause = held.pause })
	f.address = submissions
	try := func(from, user, password, want string) {
		t.Helper()
		f.connectFrom(from).do("AUTH PLAIN "+plainResponse("", user, password), want)
	}
	for _, user := range []string{testUser, "nobody"} {
		for range 5 {
			try("127.0.0.2", user, "wrong", "535 ")
		}
		if got, want := held.take(), []time.Duration{0, 0, 0, 500 * time.Millisecond, time.Second}; !slices.Equal(got, want) {
			t.Errorf("%s: held back for %v, want %v", user, got, want)
		}
	}
	try("127.0.0.3", testUser, "wrong", "535 ")
	if got := held.take(); !slices.Equal(got, []time.Duration{0}) {
		t.Errorf("another address is held back for %v", got)
	}
	try("127.0.0.2", testUser, testPassword, "235 ")
	if got := held.take(); len(got) > 0 {
		t.Errorf("the right password is held back for %v", got)
	}
}

// TestAttackerDoesNotStopTheApp has 20 answers held back for as long as the test lasts: what
// waits there keeps no other login waiting. What guesses cost is measured in test/attack.
func TestAttackerDoesNotStopTheApp(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	var held sync.WaitGroup
	held.Add(20)
	f, submissions, _ := behindFrontDoor(t, func(f *fixture) {
		f.pause = func(time.Duration) {
			held.Done()
			<-over
		}
	})
	t.Cleanup(func() { close(over) })
	f.address = submissions
	for i := range 20 {
		attacker := f.connectFrom([]string{"127.0.0.1", "127.0.0.2"}[i%2])
		attacker.send("AUTH PLAIN " + plainResponse("", testUser, "wrong") + "\r\n")
	}
	held.Wait()
	for _, address := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		c := f.connectFrom(address)
		c.do("AUTH PLAIN "+plainResponse("", testUser, testPassword), "235 ")
		c.do("MAIL FROM:<app@example.com>", "250 ")
		c = f.connectFrom(address)
		c.expectReply(c.scram("SCRAM-SHA-256", scramClient(t, testUser, testPassword).NewConversation()), "235 ")
	}
}

// TestFloodOfLoginsDoesNotHoldUpTheApp: many connections of one address have a password of a
// fresh user checked each; the app's first login is among the next.
func TestFloodOfLoginsDoesNotHoldUpTheApp(t *testing.T) {
	t.Parallel()
	const attackers = 60
	f, submissions, _ := behindFrontDoor(t, func(f *fixture) { f.pause = func(time.Duration) {} })
	f.address = submissions
	app := f.connectFrom("127.0.0.1")
	var clients []*client
	for range attackers {
		clients = append(clients, f.connectFrom("127.0.0.2"))
	}
	var failed atomic.Int32
	first := make(chan struct{})
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() {
			c.do("AUTH PLAIN "+plainResponse("", rand.Text(), "wrong"), "535 ")
			if failed.Add(1) == 1 {
				close(first)
			}
		})
	}
	<-first
	before := failed.Load()
	app.do("AUTH PLAIN "+plainResponse("", testUser, testPassword), "235 ")
	if n := failed.Load() - before; n > attackers/2 {
		t.Errorf("%d wrong passwords were answered before the app's right one", n)
	}
	all.Wait()
}
