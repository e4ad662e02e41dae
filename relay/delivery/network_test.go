package delivery

import (
	"crypto/rand"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// useNetwork makes the relay deliver to a server on a socket.
func (r *testRelay) useNetwork(u config.ResolvedUpstream) {
	snapshot := *r.snapshot
	snapshot.Upstreams = []config.ResolvedUpstream{u}
	r.snapshot, r.upstreams = &snapshot, nil
	r.restart()
}

func TestQueueGoesOverAFewEncryptedConnections(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSStartTLS})
	u := srv.upstream()
	u.Username, u.Password = "app", rand.Text()
	r := newTestRelay(t)
	r.useNetwork(u)
	r.run()
	for range 300 {
		r.submit("app@example.com", "a@x.test", "b@x.test")
	}
	r.gone()
	if n := len(srv.received()); n != 300 || srv.peak > 8 {
		t.Errorf("%d messages over up to %d connections at once", n, srv.peak)
	}
	if n := r.counted("mailrelay_upstream_connections", "test"); n < 1 || n > 8 {
		t.Errorf("%v connections counted", n)
	}
	r.halt()
	if n := r.counted("mailrelay_upstream_connections", "test"); n != 0 {
		t.Errorf("%v connections left open", n)
	}
	if logs := r.logs.String(); strings.Contains(logs, u.Password) || strings.Contains(logs, encode(u.Password)) {
		t.Error("the password is logged")
	}
}

func TestEveryMessageIsAccountedForWhenTheUpstreamIsUnreliable(t *testing.T) {
	t.Parallel()
	var commands atomic.Int64
	srv := newServer(t, script{mode: config.TLSImplicit, on: func(_ int, verb, line string) string {
		n := commands.Add(1)
		switch {
		case strings.HasPrefix(line, "RCPT TO:<app@"):
			return ""
		case verb == "GREETING" && n%5 == 0:
			return "421 4.3.2 busy"
		case n%41 == 0:
			return drop
		case verb == "RCPT" && n%19 == 0:
			return "550 5.1.1 no such user"
		case n%17 == 0 && verb != "RSET" && verb != "EHLO":
			return "451 4.3.0 not now"
		}
		return ""
	}})
	r := newTestRelay(t)
	r.useNetwork(srv.upstream())
	r.run()
	const messages = 200
	for range messages {
		r.submit("app@example.com", "a@x.test")
	}
	eventually(t, "an empty queue", func() bool {
		r.clock.advance(10 * time.Second)
		return r.queued() == 0 && len(r.entries()) == 0
	})
	delivered := r.counted("mailrelay_deliveries_total", string(spool.Delivered), "test")
	bounced := r.counted("mailrelay_deliveries_total", string(spool.Bounced), "test")
	// In the place of each message that bounced its notification was delivered.
	if delivered != messages {
		t.Errorf("%v delivered and %v bounced of %d messages", delivered, bounced, messages)
	}
	if bounced == 0 || float64(len(srv.received())) < delivered {
		t.Errorf("%v bounced, %v delivered, %d received", bounced, delivered, len(srv.received()))
	}
}
