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
	// notifications that were queued.
	notifications *prometheus.CounterVec
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
		notifications: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailrelay_notifications_total",
			Help: "Delivery status notifications that were queued, by kind: failure, delay or relayed.",
		}, []string{"kind"}),
	}
	if options.Registerer != nil {
		options.Registerer.MustRegister(m.deliveries, m.errors, m.duration, m.connections, m.held, m.paced, m.notifications)
		options.Registerer.MustRegister(spoolMetrics(options)...)
	}
	return m
}

// spoolMetrics are read from the spool when they are asked for.
func spoolMetrics(options Options) []prometheus.Collector {
	gauge := func(name, help string, value func(spool.Stats) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return value(options.Spool.Stats()) })
	}
	return []prometheus.Collector{
		gauge("mailrelay_queue_messages", "Messages that wait for delivery.",
			func(s spool.Stats) float64 { return float64(s.Messages) }),
		gauge("mailrelay_queue_oldest_seconds", "Age of the oldest message that waits for delivery; 0 when there is none.",
			func(s spool.Stats) float64 {
				if s.Oldest.IsZero() {
					return 0
				}
				return options.Clock.Now().Sub(s.Oldest).Seconds()
			}),
		gauge("mailrelay_quarantined_messages", "Messages that were damaged on disk and put aside; they are not delivered.",
			func(s spool.Stats) float64 { return float64(s.Quarantined) }),
		gauge("mailrelay_dead_letters", "Messages that failed and are kept for a time.",
			func(s spool.Stats) float64 { return float64(s.DeadLetters) }),
		gauge("mailrelay_dead_letter_bytes", "About how many bytes of the disk dead letters take.",
			func(s spool.Stats) float64 { return float64(s.DeadBytes) }),
	}
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
