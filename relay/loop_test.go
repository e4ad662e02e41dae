package relay_test

import (
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/message"
)

// change rewrites relay.yaml.
func (s *site) change(f func(*config.Config)) {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.path, "relay.yaml"))
	s.ca.must(err)
	c, err := config.Parse(data)
	s.ca.must(err)
	f(c)
	data, err = config.Marshal(c)
	s.ca.must(err)
	s.write("relay.yaml", string(data))
}

// newLoopSite is a relay of that name whose user may send bounces as well.
func newLoopSite(t *testing.T, name string, next *upstream) *site {
	t.Helper()
	s := newSite(t, next)
	s.change(func(c *config.Config) { c.Hostname = name })
	s.certificate("tls", s.ca.sign(&x509.Certificate{
		DNSNames: []string{hostname}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}))
	data, err := config.MarshalUserFile(&config.UserFile{Version: config.Version, Users: []config.User{{
		Name: "app.shop", Passwords: []config.Verifier{s.verifier}, Senders: []string{"*", "<>"},
	}}})
	s.ca.must(err)
	s.write("users/users.yaml", string(data))
	return s
}

// upstream is the relay as another one sees it.
func (r *running) upstream() *upstream {
	host, port := hostPort(r.site.t, r.Submissions)
	return &upstream{ca: r.site.ca, host: host, port: port, username: "app.shop", password: r.site.password}
}

// TestMessageBetweenTwoRelaysEnds has two relays that are each other's upstream. Whatever goes
// in must end: the message as a bounce, and the bounce, which loops as well, in the log.
func TestMessageBetweenTwoRelaysEnds(t *testing.T) {
	t.Parallel()
	a := newLoopSite(t, "a.test", newUpstream(t))
	first := a.start()
	b := newLoopSite(t, "b.test", first.upstream())
	running := b.start()
	second := running.upstream()
	before := first.status(t).Loaded[a.path]
	a.write("upstream/ca.crt", pemCertificate(second.ca.cert))
	a.write("upstream/username", second.username)
	a.write("upstream/password", second.password)
	a.change(func(c *config.Config) { c.Upstreams[0].Host, c.Upstreams[0].Port = second.host, second.port })
	eventually(t, "the circle is closed", func() bool {
		status := first.status(t)
		return status.Loaded[a.path] != before && len(status.Errors) == 0
	})

	a.ca.must(first.submit(t, "submissions", "app.shop", body("round and round")))
	refusals := func() int {
		return strings.Count(a.log.String()+b.log.String(), "reason=loop")
	}
	eventually(t, "the message and its bounce are refused", func() bool { return refusals() >= 2 })
	eventually(t, "both queues are empty", func() bool {
		return first.status(t).Queue.Messages == 0 && running.status(t).Queue.Messages == 0
	})
	log := a.log.String() + b.log.String()
	accepted := strings.Count(log, "msg=accepted")
	// The message and its bounce each go through each relay once more than the passes that a
	// relay overlooks.
	if want := 2 * 2 * (message.MaxPasses + 1); accepted != want {
		t.Errorf("%d messages accepted, want %d", accepted, want)
	}
	if !strings.Contains(log, "5.4.6") || !strings.Contains(log, `sender=""`) {
		t.Error("no bounce")
	}
}
