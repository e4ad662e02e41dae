//go:build soak

package soak

import (
	"context"
	"flag"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/test/stand"
	"github.com/mailrelay-dev/mailrelay-operator/test/traffic"
)

var (
	lasting   = flag.Duration("lasting", 2*time.Minute, "how long mail is submitted")
	program   = flag.String("relay", "", "the relay's program")
	directory = flag.String("directory", os.TempDir(), "where the spool is made; a real disk")
)

const (
	clients = 4
	// pause of each client between two messages.
	pause = 60 * time.Millisecond
	// perConnection is how many messages a client sends over one connection.
	perConnection = 100
	size          = 4 << 10
	// sampling is how often the relay's use of memory is looked at.
	sampling = 5 * time.Second
	// draining is how long the queue may take to empty at the end.
	draining = 3 * time.Minute
)

// TestSoak submits at a steady rate through a relay whose upstream puts off, refuses and hangs
// up, and wants every message accounted for, and memory and goroutines to stay what they are.
func TestSoak(t *testing.T) {
	l := newLedger()
	relay := startRelay(t, l)
	use := &usage{relay: relay}
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { use.watch(ctx, t) })
	submit(t, relay, l)
	stop()
	watching.Wait()

	ctx, cancel := context.WithTimeout(t.Context(), draining)
	defer cancel()
	if err := relay.Drained(ctx); err != nil {
		t.Error(err)
	}
	c := l.count()
	t.Logf("%s: %d accepted, %d delivered, %d of them more than once, %d refused for good",
		*lasting, c.accepted, c.delivered, c.again, c.refused)
	t.Logf("the upstream put off %d times, hung up %d times, and saw %d bounces", l.later, l.hungUp, l.bounces)
	if c.accepted == 0 || l.later == 0 || l.hungUp == 0 || c.refused == 0 {
		t.Error("not everything happened: let it last longer")
	}
	if c.unaccounted > 0 || c.untold > 0 {
		t.Errorf("%d messages are neither delivered nor refused, and nobody was told of %d that were refused", c.unaccounted, c.untold)
	}
	if c.again > l.hungUp {
		t.Errorf("%d messages came again, but the upstream hung up only %d times", c.again, l.hungUp)
	}
	for _, err := range l.faults {
		t.Error(err)
	}
	dead, err := relay.Metric(t.Context(), "mailrelay_dead_letters")
	if err != nil {
		t.Error(err)
	}
	t.Logf("%v dead letters", dead)
	if int(dead) < c.refused {
		t.Errorf("%v dead letters of %d messages that were refused", dead, c.refused)
	}
	use.check(t)
	if err := relay.Stop(); err != nil {
		t.Error(err)
	}
}

// startRelay starts the relay's program before an upstream that keeps a ledger.
func startRelay(t *testing.T, l *ledger) *stand.Relay {
	t.Helper()
	ca, err := traffic.NewAuthority()
	must(t, err)
	certificate, err := ca.Server("sink.test")
	must(t, err)
	sink := &traffic.Sink{TLS: traffic.ServerTLS(certificate), Answer: l.answer, Message: l.message}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	sink.Serve(listener)
	t.Cleanup(sink.Close)
	path, err := os.MkdirTemp(*directory, "mailrelay-soak-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(path) })
	s, err := stand.New(stand.Options{
		Directory: path, Program: *program, Authority: ca, Sink: listener.Addr().String(),
		Change: func(c *config.Config) { c.Queue.RetryInitial, c.Queue.RetryMax = time.Second, 10*time.Second },
	})
	must(t, err)
	relay, err := s.Start(t.Context())
	must(t, err)
	t.Cleanup(relay.Kill)
	return relay
}

// submit submits messages for as long as asked for.
func submit(t *testing.T, relay *stand.Relay, l *ledger) {
	t.Helper()
	end := time.Now().Add(*lasting)
	var all sync.WaitGroup
	for n := range uint64(clients) {
		all.Go(func() {
			for number := n << 32; time.Now().Before(end); {
				c, err := traffic.Dial(t.Context(), relay.Target)
				if err != nil {
					t.Error(err)
					return
				}
				for range perConnection {
					if err := c.Send(traffic.AppendMessage(nil, number, size)); err != nil {
						t.Error(err)
						return
					}
					l.accept(number)
					number++
					time.Sleep(pause)
				}
				if err := c.Quit(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
