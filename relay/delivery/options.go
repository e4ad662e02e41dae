package delivery

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// Options say what a Scheduler works with.
type Options struct {
	// Spool holds the messages. Its Options.OnCommit must call Scheduler.Enqueue.
	Spool spool.Spool
	// Snapshot is the configuration to start with; Scheduler.Apply replaces it.
	Snapshot *config.Snapshot
	// Timeouts of the steps of a session; DefaultTimeouts when zero.
	Timeouts Timeouts
	// StopTimeout is how long attempts under way may go on after Run's context is done.
	// Default 20s.
	StopTimeout time.Duration
	// Prober learns from the sessions with upstreams; may be nil.
	Prober *Prober
	// Clock is the system's when nil.
	Clock Clock
	// Rand returns random numbers in [0,1); math/rand's when nil.
	Rand func() float64
	// Logger is slog.Default when nil.
	Logger *slog.Logger
	// Tokens of upstreams, to be shared with others that log in at them; new ones when nil.
	Tokens *Tokens
	// Registerer gets the metrics; none are registered when nil.
	Registerer prometheus.Registerer

	// transport makes the transport of an upstream; tests replace it.
	transport func(config.ResolvedUpstream, prometheus.Gauge) transport
}

func (o Options) withDefaults() Options {
	if o.Timeouts == (Timeouts{}) {
		o.Timeouts = DefaultTimeouts()
	}
	if o.StopTimeout == 0 {
		o.StopTimeout = 20 * time.Second
	}
	if o.Clock == nil {
		o.Clock = systemClock{}
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Tokens == nil {
		o.Tokens = new(Tokens)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}
