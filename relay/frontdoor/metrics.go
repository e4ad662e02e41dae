package frontdoor

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	connections  *prometheus.CounterVec
	open         prometheus.Gauge
	refused      *prometheus.CounterVec
	healthChecks *prometheus.CounterVec
	handshakes   *prometheus.CounterVec
	wrongMode    *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mailrelay_" + name, Help: help}, labels)
	}
	m := &metrics{
		connections: counter("connections_total", "Connections that reached SMTP over TLS.", "service"),
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mailrelay_connections_open", Help: "Connections that are open, handshakes included."}),
		refused:      counter("connections_refused_total", "Connections closed because a cap was reached.", "service"),
		healthChecks: counter("connections_empty_total", "Connections closed by the client without a byte, as health checks do.", "service"),
		handshakes:   counter("tls_handshake_failures_total", "TLS handshakes that failed.", "service"),
		wrongMode:    counter("wrong_mode_total", "Clients that spoke something else than the port does.", "service", "kind"),
	}
	if registerer != nil {
		registerer.MustRegister(m.connections, m.open, m.refused, m.healthChecks, m.handshakes, m.wrongMode)
	}
	return m
}
