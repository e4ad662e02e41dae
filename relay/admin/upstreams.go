package admin

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

var (
	upDesc = upstreamDesc("up",
		"1 when a session with the upstream could be opened, up to the login; otherwise 0.")
	authenticatedDesc = upstreamDesc("authenticated",
		"1 when the upstream took the newest login, 0 when it did not; missing while none was tried.")
	tlsDesc = upstreamDesc("tls_info",
		"TLS version and cipher suite of the newest session with the upstream; always 1.", "version", "cipher")
	upstreamExpiryDesc = upstreamDesc("certificate_expiry_timestamp_seconds",
		"When the upstream's certificate ends, in seconds since 1970.")
	wrongModeDesc = upstreamDesc("wrong_mode",
		"1 when the upstream's port and its TLS mode do not fit, by kind: expects_tls, expects_plaintext, no_starttls or requires_tls; otherwise 0.", "kind")
	sessionDesc = upstreamDesc("session_timestamp_seconds",
		"When the newest session with the upstream was opened, or was found not to open, in seconds since 1970.")
)

// wrongModes are the kinds of a wrong mode.
var wrongModes = []struct {
	kind  string
	fault config.Fault
}{
	{"expects_tls", config.FaultExpectsTLS},
	{"expects_plaintext", config.FaultExpectsPlaintext},
	{"no_starttls", config.FaultNoSTARTTLS},
	{"requires_tls", config.FaultRequiresTLS},
}

func upstreamDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("mailrelay_upstream_"+name, help, append([]string{"upstream"}, labels...), nil)
}

// upstreamCollector shows what is known of the upstreams.
type upstreamCollector struct {
	reports func() []config.UpstreamReport
}

// NewUpstreamCollector returns the metrics of what sessions with the upstreams showed.
func NewUpstreamCollector(reports func() []config.UpstreamReport) prometheus.Collector {
	return upstreamCollector{reports: reports}
}

// Describe implements prometheus.Collector.
func (c upstreamCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{upDesc, authenticatedDesc, tlsDesc, upstreamExpiryDesc, wrongModeDesc, sessionDesc} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (c upstreamCollector) Collect(out chan<- prometheus.Metric) {
	for _, report := range c.reports() {
		if report.Probe != nil {
			collectUpstream(out, report.Name, report.Probe)
		}
	}
}

func collectUpstream(out chan<- prometheus.Metric, name string, r *config.ProbeReport) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, append([]string{name}, labels...)...)
	}
	gauge(upDesc, number(r.Reachable))
	gauge(sessionDesc, float64(r.Time.Unix()))
	if r.Login != nil {
		gauge(authenticatedDesc, number(r.Login.Authenticated))
	}
	if r.TLSVersion != "" {
		gauge(tlsDesc, 1, r.TLSVersion, r.CipherSuite)
	}
	if r.Certificate != nil {
		gauge(upstreamExpiryDesc, float64(r.Certificate.NotAfter.Unix()))
	}
	for _, mode := range wrongModes {
		gauge(wrongModeDesc, number(r.Fault == mode.fault), mode.kind)
	}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
