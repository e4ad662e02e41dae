package delivery

import (
	"crypto/tls"
	"crypto/x509"
	"reflect"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/provider"
)

// tlsSessions is how many TLS sessions of an upstream are remembered.
const tlsSessions = 32

// upstream is an upstream and the mail that only it may take. The scheduler's lock guards it.
type upstream struct {
	config    config.ResolvedUpstream
	hostname  string
	transport transport
	// pinned are messages that are due and that it may have taken already.
	pinned entryHeap
	// active attempts, and recording those that are over but for their outcome on the disk.
	active, recording int
	gate              gate
	pacer             pacer
	report            config.UpstreamReport
}

// leave ends an attempt.
func (u *upstream) leave(a *attempt) {
	if a.passed {
		u.recording--
		return
	}
	u.active--
}

// free reports whether another attempt may start now, as far as the upstream goes.
func (u *upstream) free(now time.Time) bool {
	return u.active < u.gate.limit(now, u.config.Limits.Connections) && u.pacer.open(now)
}

// wake is when the upstream becomes free because time has passed, zero when not.
func (u *upstream) wake(now time.Time) time.Time {
	at := u.pacer.wake(now)
	if u.gate.until.After(now) && u.gate.until.After(at) {
		return u.gate.until
	}
	return at
}

// newPool is the transport of an upstream on the network.
func (s *Scheduler) newPool(u config.ResolvedUpstream, connections prometheus.Gauge) transport {
	return &pool{
		dialer: dialer{
			upstream: u,
			hostname: s.settings.hostname,
			timeouts: s.options.Timeouts,
			sessions: tls.NewLRUClientSessionCache(tlsSessions),
			tokens:   s.options.Tokens.of(u, s.options.Clock),
			observe:  s.options.Prober.observer(u),
		},
		clock:                 s.options.Clock,
		messagesPerConnection: u.Limits.MessagesPerConnection,
		rules:                 provider.Lookup(u.Provider).ReplyRules(),
		connections:           connections,
	}
}

// sameUpstream reports whether connections to a serve for b as well.
func sameUpstream(a, b config.ResolvedUpstream) bool {
	return reflect.DeepEqual(a.Upstream, b.Upstream) && a.Login == b.Login && a.ClientCertificate == b.ClientCertificate &&
		samePool(a.RootCAs, b.RootCAs) && samePool(a.TokenRootCAs, b.TokenRootCAs)
}

func samePool(a, b *x509.CertPool) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(b)
}

// succeeded notes that the upstream was of use.
func (u *upstream) succeeded(now time.Time) {
	u.report = config.UpstreamReport{Name: u.config.Name, LastSuccess: now}
}

// failed notes an error, when it is one that says something about the upstream.
func (u *upstream) failed(e *Error, now time.Time) {
	switch e.Class {
	case ClassConnect, ClassTLS, ClassAuthentication, ClassThrottle:
		u.report.LastError = e.Error()
		u.report.LastErrorTime = now
		u.report.LastErrorClass = string(e.Class)
		u.report.LastErrorStep = string(e.Step)
	}
}

// welcomed opens the gate of an upstream that takes mail. A connection alone does not: what
// refuses every MAIL would be connected to again and again.
func (s *Scheduler) welcomed(u *upstream, generation int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u.succeeded(s.options.Clock.Now())
	if u.gate.succeed(generation) {
		s.options.Logger.Info("the upstream is back", "upstream", u.config.Name)
		s.changed(u)
	}
	s.dispatch()
}

// observe learns from an attempt what it shows of the upstream.
func (s *Scheduler) observe(a *attempt) {
	now := s.options.Clock.Now()
	if a.delivered() {
		a.upstream.succeeded(now)
		// Over a connection that took mail before, nothing else says that it does again.
		if a.upstream.gate.succeed(a.generation) {
			s.changed(a.upstream)
		}
		a.upstream.gate.grow(a.generation, a.config.Limits.Connections)
		s.lastDelivery = now
	}
	s.refused.learn(a, now)
	for _, e := range a.errors {
		a.upstream.failed(e, now)
	}
	if a.giveUp || a.interrupted {
		return
	}
	reason := a.fault
	if reason == nil {
		reason = a.throttled()
	}
	if reason != nil {
		s.hold(a.upstream, a.generation, reason, now)
	}
}

// throttled is the reply by which the upstream asked for less mail, nil when it did not. The
// attempt counts all the same: the message may be what brings the reply about.
func (a *attempt) throttled() *Error {
	for _, e := range a.errors {
		if e.asksForLess() {
			return e
		}
	}
	return nil
}

// hold closes the gate of an upstream.
func (s *Scheduler) hold(u *upstream, generation int, fault *Error, now time.Time) {
	if s.find(u.config.Name) != u {
		// It was removed meanwhile.
		return
	}
	if !u.gate.fail(generation, fault, now, u.config.Limits.Connections) {
		return
	}
	text := "the upstream asks for less mail"
	if !u.gate.usable() {
		text = "the upstream cannot be used"
		// Its idle connections go as well: the attempt that is to find out whether the
		// upstream is back must make a new one.
		go u.transport.close()
		s.connectTo(u)
	}
	s.options.Logger.Warn(text, "upstream", u.config.Name,
		"class", fault.Class, "error", fault.Error(), "until", u.gate.until)
	s.changed(u)
}

// changed notes that an upstream came to be usable, or ceased to be.
func (s *Scheduler) changed(u *upstream) {
	now := s.options.Clock.Now()
	for _, r := range s.routes {
		r.noteLogins(now)
	}
	held := 0.0
	if !u.gate.usable() {
		held = 1
	}
	s.metrics.held.WithLabelValues(u.config.Name).Set(held)
}

// Reports says of each upstream, in the order of the configuration, what its last use showed.
func (s *Scheduler) Reports() []config.UpstreamReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	reports := make([]config.UpstreamReport, 0, len(s.upstreams))
	for _, u := range s.upstreams {
		reports = append(reports, u.report)
	}
	return reports
}

// Queue sums up the messages that wait for delivery.
func (s *Scheduler) Queue() config.QueueReport {
	stats := s.options.Spool.Stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	return config.QueueReport{
		Messages: stats.Messages, Oldest: stats.Oldest, LastDelivery: s.lastDelivery, Quarantined: stats.Quarantined,
		DeadLetters: stats.DeadLetters,
	}
}
