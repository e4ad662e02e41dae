package admin

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestMetricsShowWhatIsKnownOfUpstreams(t *testing.T) {
	t.Parallel()
	at := time.Unix(1800000000, 0)
	reports := []config.UpstreamReport{
		{Name: "good", Probe: &config.ProbeReport{
			Time: at, Reachable: true, TLSVersion: "1.3", CipherSuite: "TLS_AES_128_GCM_SHA256",
			Login:       &config.LoginReport{Authenticated: true},
			Certificate: &config.PeerCertificate{NotAfter: at.Add(time.Hour)},
		}},
		{Name: "refuses", Probe: &config.ProbeReport{Time: at, Reachable: true, Login: &config.LoginReport{Fault: config.FaultLoginRefused}}},
		{Name: "mixed-up", Probe: &config.ProbeReport{Time: at, Fault: config.FaultExpectsTLS}},
		{Name: "unknown"},
	}
	want := `
		# HELP mailrelay_upstream_authenticated 1 when the upstream took the newest login, 0 when it did not; missing while none was tried.
		# TYPE mailrelay_upstream_authenticated gauge
		mailrelay_upstream_authenticated{upstream="good"} 1
		mailrelay_upstream_authenticated{upstream="refuses"} 0
		# HELP mailrelay_upstream_certificate_expiry_timestamp_seconds When the upstream's certificate ends, in seconds since 1970.
		# TYPE mailrelay_upstream_certificate_expiry_timestamp_seconds gauge
		mailrelay_upstream_certificate_expiry_timestamp_seconds{upstream="good"} 1.8000036e+09
		# HELP mailrelay_upstream_session_timestamp_seconds When the newest session with the upstream was opened, or was found not to open, in seconds since 1970.
		# TYPE mailrelay_upstream_session_timestamp_seconds gauge
		mailrelay_upstream_session_timestamp_seconds{upstream="good"} 1.8e+09
		mailrelay_upstream_session_timestamp_seconds{upstream="mixed-up"} 1.8e+09
		mailrelay_upstream_session_timestamp_seconds{upstream="refuses"} 1.8e+09
		# HELP mailrelay_upstream_tls_info TLS version and cipher suite of the newest session with the upstream; always 1.
		# TYPE mailrelay_upstream_tls_info gauge
		mailrelay_upstream_tls_info{cipher="TLS_AES_128_GCM_SHA256",upstream="good",version="1.3"} 1
		# HELP mailrelay_upstream_up 1 when a session with the upstream could be opened, up to the login; otherwise 0.
		# TYPE mailrelay_upstream_up gauge
		mailrelay_upstream_up{upstream="good"} 1
		mailrelay_upstream_up{upstream="mixed-up"} 0
		mailrelay_upstream_up{upstream="refuses"} 1
	`
	collector := NewUpstreamCollector(func() []config.UpstreamReport { return reports })
	if err := testutil.CollectAndCompare(collector, strings.NewReader(want),
		"mailrelay_upstream_up", "mailrelay_upstream_authenticated", "mailrelay_upstream_tls_info",
		"mailrelay_upstream_certificate_expiry_timestamp_seconds", "mailrelay_upstream_session_timestamp_seconds"); err != nil {
		t.Error(err)
	}
	problems, err := testutil.CollectAndLint(collector)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}

func TestMetricsNameEachWrongMode(t *testing.T) {
	t.Parallel()
	if len(wrongModes) != len(config.WrongModes()) {
		t.Fatalf("%d kinds for %d wrong modes", len(wrongModes), len(config.WrongModes()))
	}
	for _, mode := range wrongModes {
		collector := NewUpstreamCollector(func() []config.UpstreamReport {
			return []config.UpstreamReport{{Name: "u", Probe: &config.ProbeReport{Fault: mode.fault}}}
		})
		want := "# HELP mailrelay_upstream_wrong_mode " + "1 when the upstream's port and its TLS mode do not fit, by kind: expects_tls, expects_plaintext, no_starttls or requires_tls; otherwise 0.\n" +
			"# TYPE mailrelay_upstream_wrong_mode gauge\n"
		for _, other := range wrongModes {
			value := "0"
			if other.kind == mode.kind {
				value = "1"
			}
			want += `mailrelay_upstream_wrong_mode{kind="` + other.kind + `",upstream="u"} ` + value + "\n"
		}
		if err := testutil.CollectAndCompare(collector, strings.NewReader(want), "mailrelay_upstream_wrong_mode"); err != nil {
			t.Errorf("%s: %v", mode.fault, err)
		}
	}
}
