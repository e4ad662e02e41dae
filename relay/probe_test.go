package relay_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestUpstreamIsKnownToWorkBeforeThereIsMail(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	site := newSite(t, u)
	r := site.start()
	probe := func() *config.ProbeReport { return r.status(t).Upstreams[0].Probe }
	eventually(t, "the upstream takes the login", func() bool {
		p := probe()
		return p != nil && p.Reachable && p.Login != nil && p.Login.Authenticated
	})
	_, metrics := get(t, r.Metrics, "/metrics")
	for _, want := range []string{
		`mailrelay_upstream_up{upstream="provider"} 1`, `mailrelay_upstream_authenticated{upstream="provider"} 1`,
		`mailrelay_upstream_certificate_expiry_timestamp_seconds{upstream="provider"}`,
		`mailrelay_upstream_wrong_mode{kind="expects_tls",upstream="provider"} 0`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	wrong := rand.Text()
	site.write("upstream/password", wrong)
	eventually(t, "the upstream refuses the new password", func() bool {
		p := probe()
		return p != nil && p.Login != nil && p.Login.Fault == config.FaultLoginRefused
	})
	if u.count() != 0 {
		t.Error("a probe sent mail")
	}
	if log := site.log.String(); strings.Contains(log, wrong) || !strings.Contains(log, "fault=LoginRefused") {
		t.Errorf("log:\n%s", log)
	}
}
