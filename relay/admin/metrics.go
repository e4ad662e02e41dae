package admin

import (
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// metrics serves /metrics.
func metrics(gatherer prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	return mux
}

// NewRegistry returns a registry with what every relay shows: the Go runtime, the process
// and the version.
func NewRegistry(version string) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "mailrelay_build_info",
		Help:        "Version of the relay and of Go; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	info.Set(1)
	registry.MustRegister(info,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

var (
	expiryDesc = prometheus.NewDesc("mailrelay_certificate_expiry_timestamp_seconds",
		"When a certificate that is served ends, in seconds since 1970.", []string{"name"}, nil)
	errorsDesc = prometheus.NewDesc("mailrelay_config_errors",
		"Parts of the configuration whose newest content cannot be used.", nil, nil)
	usersDesc = prometheus.NewDesc("mailrelay_users",
		"Users that may log in.", nil, nil)
)

// configCollector shows the configuration in use.
type configCollector struct {
	snapshot func() *config.Snapshot
}

// NewConfigCollector returns the metrics of the configuration in use.
func NewConfigCollector(snapshot func() *config.Snapshot) prometheus.Collector {
	return configCollector{snapshot: snapshot}
}

// Describe implements prometheus.Collector.
func (c configCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- expiryDesc
	descs <- errorsDesc
	descs <- usersDesc
}

// Collect implements prometheus.Collector.
func (c configCollector) Collect(out chan<- prometheus.Metric) {
	s := c.snapshot()
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	for _, certificate := range s.Certificates() {
		gauge(expiryDesc, float64(certificate.NotAfter.Unix()), certificate.Name)
	}
	gauge(errorsDesc, float64(len(s.Errors)))
	gauge(usersDesc, float64(len(s.Users)))
}
