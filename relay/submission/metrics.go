package submission

import "github.com/prometheus/client_golang/prometheus"

// Results of a login, as the metric shows them.
const (
	loginOK          = "ok"
	loginRefused     = "refused"
	loginMalformed   = "malformed"
	loginUnavailable = "unavailable"
	loginUnverified  = "unverified"
)

// metrics are the server's counters.
type metrics struct {
	accepted prometheus.Counter
	refused  *prometheus.CounterVec
	logins   *prometheus.CounterVec
	previous prometheus.Counter
	ended    prometheus.Counter
}

// newMetrics makes the counters and registers them; a nil registerer shows them to nobody.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		accepted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailrelay_messages_accepted_total",
			Help: "Messages accepted and durable.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailrelay_messages_refused_total",
			Help: "Commands of a mail transaction that were refused, by reason.",
		}, []string{"reason"}),
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailrelay_auth_total",
			Help: "Logins that ran to their end, by result and SASL mechanism.",
		}, []string{"result", "mechanism"}),
		previous: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailrelay_auth_previous_password_total",
			Help: "Logins with a password that has been replaced and still works for a while.",
		}),
		ended: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailrelay_sessions_ended_total",
			Help: "Sessions ended because what they logged in with was taken away, or its time was over.",
		}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.accepted, m.refused, m.logins, m.previous, m.ended} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
