package delivery

import (
	"context"
	"crypto/tls"
	"strings"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// probeTimeouts bound a probe. They are shorter than those of a delivery, which has a message
// to lose.
type probeTimeouts struct {
	// Timeouts are those of the steps. Greeting is how long an upstream may be silent before
	// it is tried whether it waits for TLS.
	Timeouts
	// patience is how long the greeting may take of one that does not.
	patience time.Duration
	// whole is for all but the goodbye.
	whole time.Duration
}

// defaultProbeTimeouts make a probe end within half a minute.
func defaultProbeTimeouts() probeTimeouts {
	return probeTimeouts{
		Timeouts: Timeouts{
			Connect:   8 * time.Second,
			TLS:       5 * time.Second,
			Greeting:  5 * time.Second,
			Command:   8 * time.Second,
			DataBlock: 8 * time.Second,
			Quit:      2 * time.Second,
		},
		patience: 15 * time.Second,
		whole:    27 * time.Second,
	}
}

// Probe opens a session with an upstream, logs in, sends no mail, and reports what that showed.
// It ends within half a minute, or when ctx is done. hostname is what it says in EHLO.
func Probe(ctx context.Context, hostname string, upstream config.ResolvedUpstream) *config.ProbeReport {
	p := probe{dialer{upstream: upstream, hostname: hostname}, defaultProbeTimeouts()}
	f, is := p.run(ctx)
	return newProbeReport(f, is, time.Now())
}

// probe looks at one upstream, on one connection at a time.
type probe struct {
	dialer   dialer
	timeouts probeTimeouts
}

// run opens a session. Where port and TLS mode may not fit, a second connection shows whether
// that is so: silence alone is also what a slow upstream has to say.
func (p probe) run(ctx context.Context) (facts, finding) {
	ctx, cancel := context.WithTimeout(ctx, p.timeouts.whole)
	defer cancel()
	f := p.open(ctx, p.timeouts.Greeting)
	implicit := p.dialer.upstream.TLS == config.TLSImplicit
	switch {
	case implicit && f.mute(StepTLS) && p.greets(ctx):
		return f, wrongMode(p.dialer.upstream, config.FaultExpectsPlaintext)
	case !implicit && f.mute(StepGreeting) && p.speaksTLS(ctx):
		return f, wrongMode(p.dialer.upstream, config.FaultExpectsTLS)
	case f.mute(StepGreeting):
		if again := p.open(ctx, p.timeouts.patience); ctx.Err() == nil {
			f = again
		}
	}
	return f, judge(p.dialer.upstream, f)
}

// open opens a session and ends it.
func (p probe) open(ctx context.Context, greeting time.Duration) facts {
	var seen facts
	d := p.dialer
	d.timeouts, d.timeouts.Greeting = p.timeouts.Timeouts, greeting
	d.observe = func(f facts) { seen = f }
	if c, failure := d.connect(ctx); failure == nil {
		c.close()
	}
	return seen
}

// mute reports whether the upstream did not say one word at a step.
func (f facts) mute(step Step) bool {
	if f.failure == nil || f.failure.Step != step || f.failure.Code != 0 {
		return false
	}
	return timedOut(f.failure.Err) || hungUp(f.failure.Err)
}

// speaksTLS reports whether the upstream expects TLS from the first byte. Whoever it is will
// do: nothing is said to it.
func (p probe) speaksTLS(ctx context.Context) bool {
	raw, err := p.dialer.dial(ctx)
	if err != nil {
		return false
	}
	defer raw.Close()
	ctx, cancel := context.WithTimeout(ctx, p.timeouts.TLS)
	defer cancel()
	encrypted := tls.Client(raw, &tls.Config{
		ServerName: strings.TrimSuffix(p.dialer.upstream.Host, "."), MinVersion: tls.VersionTLS12, InsecureSkipVerify: true,
	})
	return encrypted.HandshakeContext(ctx) == nil
}

// greets reports whether the upstream greets in plaintext.
func (p probe) greets(ctx context.Context) bool {
	raw, err := p.dialer.dial(ctx)
	if err != nil {
		return false
	}
	defer raw.Close()
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	_, failure := newConnection(raw, p.timeouts.Timeouts).read(StepGreeting, p.timeouts.patience)
	return failure == nil
}
