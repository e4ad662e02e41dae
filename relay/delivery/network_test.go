package delivery

import (
	"crypto/rand"
	"slices"
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
	u.Limits.MessagesPerConnection = 300 // one that says goodbye is open beside the next
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

func TestRefusedRecipientHoldsBackNeitherTheOthersNorOtherMail(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone, on: answers(map[string]string{
		"RCPT TO:<never@": "530 5.7.0 Authentication required",
	})})
	r := newTestRelay(t, func(c *config.Config) { c.Queue.Lifetime = time.Hour })
	r.useNetwork(srv.upstream())
	id := r.submit("app@example.com", "ok@x.test", "never@x.test")
	for range 50 {
		r.submit("app@example.com", "other@x.test")
	}
	r.run()
	eventually(t, "the mail of the others", func() bool { return r.queued() == 1 })
	r.rest()
	if e := r.envelope(id); e.Recipients[0].Outcome != spool.Delivered || e.Attempts != 1 {
		t.Errorf("after one attempt: %+v", e)
	}
	for range 60 {
		r.clock.advance(2 * time.Minute)
		r.rest()
	}
	r.gone()
	contents := srv.received()
	if n := len(contents); n != 52 || !strings.Contains(contents[n-1], "5.7.0 Authentication required") {
		t.Errorf("%d messages received, the last is\n%s", n, contents[max(0, n-1)])
	}
	if slices.Contains(contents, "") {
		t.Error("a blank message was sent")
	}
}

func TestUpstreamThatRefusesEveryMAILIsConnectedToLessAndLessOften(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone, on: answers(map[string]string{"MAIL": "530 5.7.0 Authentication required"})})
	r := newTestRelay(t)
	r.useNetwork(srv.upstream())
	for range 50 {
		r.submit("app@example.com", "a@x.test")
	}
	r.run()
	r.rest()
	for range 60 {
		r.clock.advance(time.Minute)
		r.rest()
	}
	// At once and after 1, 3, 7, 15, 30, 45 and 60 minutes.
	if n := srv.connections(); n != 8 {
		t.Errorf("%d connections in an hour", n)
	}
}
