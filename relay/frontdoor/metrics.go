package frontdoor

import "github.com/prometheus/client_golang/prometheus"

// metrics are the counters of a Door.
type metrics struct {
	accepted          *prometheus.CounterVec
	current           *prometheus.GaugeVec
	refused           *prometheus.CounterVec
	handshakeFailures *prometheus.CounterVec
	wrongMode         *prometheus.CounterVec
	healthChecks      *prometheus.CounterVec
}

// newMetrics makes the metrics and registers them, unless registerer is nil.
func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help},
			append([]string{"service"}, labels...))
	}
	m := &metrics{
		accepted: counter("mailrelay_connections_total",
			"Client connections taken, whether or not they got as far as TLS."),
		current: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mailrelay_connections_open",
			Help: "Client connections open now.",
		}, []string{"service"}),
		refused: counter("mailrelay_connections_refused_total",
			"Client connections refused by a cap: total, of one address, or of a network of IPv6.", "reason"),
		handshakeFailures: counter("mailrelay_tls_handshake_failures_total",
			"TLS handshakes with clients that failed."),
		wrongMode: counter("mailrelay_wrong_mode_total",
			"Clients that spoke another protocol than their port's.", "kind"),
		healthChecks: counter("mailrelay_connections_empty_total",
			"Client connections closed without a byte, as health checks do."),
	}
	if registerer == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.accepted, m.current, m.refused, m.handshakeFailures, m.wrongMode, m.healthChecks,
	} {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// show makes the series of a service exist before their first event, so that a rate over
// them has a start.
func (m *metrics) show(s Service) {
	for _, v := range []*prometheus.CounterVec{m.accepted, m.handshakeFailures, m.healthChecks} {
		v.WithLabelValues(string(s))
	}
	m.current.WithLabelValues(string(s))
	for _, r := range []refusal{refusedTotal, refusedAddress, refusedNetwork} {
		m.refused.WithLabelValues(string(s), string(r))
	}
	for kind := range advice[s] {
		m.wrongMode.WithLabelValues(string(s), string(kind))
	}
}
