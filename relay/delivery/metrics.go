package delivery

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// deferred is the result of recipients that are still pending after an attempt.
const deferred = "deferred"

// metrics are what Prometheus gets to see of deliveries.
type metrics struct {
	deliveries  *prometheus.CounterVec
	errors      *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	connections *prometheus.GaugeVec
	held        *prometheus.GaugeVec
	paced       prometheus.Gauge
}

func newMetrics(options Options) *metrics {
	m := &metrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailrelay_deliveries_total",
			Help: "Recipients by what an attempt to deliver to them brought: delivered, deferred, bounced or expired.",
		}, []string{"upstream", "result"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailrelay_upstream_errors_total",
			Help: "Errors of deliveries by class: connect, tls, authentication, throttle, sender, message or recipient.",
		}, []string{"upstream", "class"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "mailrelay_delivery_duration_seconds",
			Help:    "How long attempts took, from reading the envelope to recording the outcome.",
			Buckets: prometheus.ExponentialBuckets(0.005, 4, 9),
		}, []string{"upstream"}),
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mailrelay_upstream_connections",
			Help: "Open connections to the upstream.",
		}, []string{"upstream"}),
		held: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mailrelay_upstream_held",
			Help: "1 while no mail is sent to the upstream, since it cannot be reached or does not take the login.",
		}, []string{"upstream"}),
		paced: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mailrelay_queue_paced_messages",
			Help: "Messages that wait for delivery only because of their user's rate.",
		}),
	}
	if options.Registerer != nil {
		options.Registerer.MustRegister(m.deliveries, m.errors, m.duration, m.connections, m.held, m.paced,
			queueMessages(options), queueOldest(options), quarantinedMessages(options))
	}
	return m
}

func queueMessages(options Options) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mailrelay_queue_messages",
		Help: "Messages that wait for delivery.",
	}, func() float64 { return float64(options.Spool.Stats().Messages) })
}

func queueOldest(options Options) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mailrelay_queue_oldest_seconds",
		Help: "Age of the oldest message that waits for delivery; 0 when there is none.",
	}, func() float64 {
		oldest := options.Spool.Stats().Oldest
		if oldest.IsZero() {
			return 0
		}
		return options.Clock.Now().Sub(oldest).Seconds()
	})
}

func quarantinedMessages(options Options) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mailrelay_quarantined_messages",
		Help: "Messages that were damaged on disk and put aside; they are not delivered.",
	}, func() float64 { return float64(options.Spool.Stats().Quarantined) })
}

// count adds the attempt to the metrics.
func (a *attempt) count() {
	m, name := a.scheduler.metrics, a.config.Name
	for _, i := range a.judged {
		m.deliveries.WithLabelValues(name, resultOf(a.envelope.Recipients[i])).Inc()
	}
	for _, e := range a.errors {
		m.errors.WithLabelValues(name, string(e.Class)).Inc()
	}
	m.duration.WithLabelValues(name).Observe(a.scheduler.options.Clock.Now().Sub(a.started).Seconds())
}

// resultOf names what became of a recipient.
func resultOf(r spool.Recipient) string {
	if r.Outcome == spool.Pending {
		return deferred
	}
	return string(r.Outcome)
}
