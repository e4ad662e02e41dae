package delivery

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// certificateAge is for how long sessions may show nothing new of an upstream's certificate: those
// that resume TLS do not.
const certificateAge = time.Hour

// probeAgain are the pauses after probes that found something wrong. The first are short: an
// upstream that was just set up may be a moment late.
var probeAgain = backoff{5 * time.Second, 45 * time.Second}

// ProberOptions say what a Prober works with.
type ProberOptions struct {
	// Snapshot is the configuration to start with; Prober.Apply replaces it.
	Snapshot *config.Snapshot
	// Uses are the reports of what deliveries show of the upstreams; may be nil.
	Uses func() []config.UpstreamReport
	// Host is the name of this host, os.Hostname's when empty.
	Host string
	// Clock is the system's when nil.
	Clock Clock
	// Rand returns random numbers in [0,1); math/rand's when nil.
	Rand func() float64
	// Logger is slog.Default when nil.
	Logger *slog.Logger
	// Tokens of upstreams, shared with the deliveries; new ones when nil.
	Tokens *Tokens

	// timeouts of a probe; tests have less patience.
	timeouts probeTimeouts
}

func (o ProberOptions) withDefaults() ProberOptions {
	if o.Uses == nil {
		o.Uses = func() []config.UpstreamReport { return nil }
	}
	if o.Host == "" {
		// Without a name it is not the one that may try logins, if there is one.
		o.Host, _ = os.Hostname()
	}
	if o.Clock == nil {
		o.Clock = systemClock{}
	}
	if o.Tokens == nil {
		o.Tokens = new(Tokens)
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.timeouts == (probeTimeouts{}) {
		o.timeouts = defaultProbeTimeouts()
	}
	return o
}

// Prober knows of each upstream whether it can be used, and why not. It learns that from the
// sessions of deliveries and, where there are none, from probes: sessions without mail. What
// failed in a delivery is looked into by a probe, which has the time to tell why.
type Prober struct {
	options ProberOptions

	mu       sync.Mutex
	settings config.Probe
	targets  []*target

	running bool
	// probes under way, and the context that ends them.
	probes sync.WaitGroup
	work   context.Context
}

// target is an upstream as it is configured: one whose configuration changes is another target.
// The Prober's lock guards it.
type target struct {
	upstream config.ResolvedUpstream
	hostname string
	tokens   *tokenSource
	// report is nil before the first session.
	report *config.ProbeReport
	logins loginTimes
	// login is what the last one showed before the upstream changed in other ways.
	login *config.LoginReport
	// gone means that the upstream is not configured any more, or in another way.
	gone bool
	// due is when the next probe is, and stop ends the wait for it.
	due  time.Time
	stop func() bool
	// cancel ends the probe under way, nil when there is none.
	cancel context.CancelFunc
	// probed is when the last probe began, and inspected when the upstream last showed its
	// certificate.
	probed, inspected time.Time
	// failures in a row of probes.
	failures int
	// used is when a delivery last showed that all is well, and doubted when one last did not.
	used, doubted time.Time
}

// NewProber makes a Prober. It connects nowhere before Run.
func NewProber(options ProberOptions) *Prober {
	p := &Prober{options: options.withDefaults()}
	p.Apply(options.Snapshot)
	return p
}

// Run probes until ctx is done. It never fails.
func (p *Prober) Run(ctx context.Context) error {
	p.mu.Lock()
	p.running, p.work = true, ctx
	for _, t := range p.targets {
		p.arm(t, 0)
	}
	p.mu.Unlock()
	<-ctx.Done()
	p.mu.Lock()
	p.running = false
	for _, t := range p.targets {
		t.disarm()
	}
	p.mu.Unlock()
	p.probes.Wait()
	return nil
}

// Apply replaces the configuration. An upstream that is new, or that changed, is probed at once.
func (p *Prober) Apply(snapshot *config.Snapshot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	hostname := snapshot.Config.Hostname
	sooner := snapshot.Config.Probe.Interval < p.settings.Interval
	p.settings = snapshot.Config.Probe
	old := p.targets
	p.targets = nil
	for _, u := range snapshot.Upstreams {
		was := findTarget(old, u.Name)
		if was != nil && was.hostname == hostname && sameUpstream(was.upstream, u) {
			p.targets = append(p.targets, was)
			if sooner {
				p.rearm(was)
			}
			continue
		}
		t := &target{upstream: u, hostname: hostname, tokens: p.options.Tokens.of(u, p.options.Clock)}
		if was != nil && sameLogin(was.upstream, u) {
			t.logins, t.login = was.logins, was.login
			if was.report != nil && was.report.Login != nil {
				t.login = was.report.Login
			}
		}
		p.targets = append(p.targets, t)
		p.arm(t, 0)
	}
	for _, t := range old {
		if findTarget(p.targets, t.upstream.Name) != t {
			t.leave()
		}
	}
}

func findTarget(targets []*target, name string) *target {
	for _, t := range targets {
		if t.upstream.Name == name {
			return t
		}
	}
	return nil
}

// leave ends what is done about a target.
func (t *target) leave() {
	t.gone = true
	t.disarm()
	if t.cancel != nil {
		t.cancel()
	}
}

func (t *target) disarm() {
	if t.stop != nil {
		t.stop()
		t.stop = nil
	}
}

// arm sets the time of the next probe, in place of the one that was set.
func (p *Prober) arm(t *target, after time.Duration) {
	t.disarm()
	if !p.running {
		return
	}
	t.due = p.options.Clock.Now().Add(after)
	t.stop = p.options.Clock.AfterFunc(after, func() { p.probe(t) })
}

// rearm sets the time of the next probe by what is known.
func (p *Prober) rearm(t *target) {
	if t.cancel != nil {
		// The end of the probe under way does that.
		return
	}
	since := p.options.Clock.Now().Sub(t.probed)
	p.arm(t, max(0, p.pause(t)-since))
}

// pause is the time from one probe of a target to the next.
func (p *Prober) pause(t *target) time.Duration {
	pause := p.settings.Interval
	if t.failures > 0 {
		pause = min(pause, probeAgain.after(t.failures))
	}
	return spread(pause, p.options.Rand())
}

// probe probes a target once, unless that is not needed.
func (p *Prober) probe(t *target) {
	ctx, withLogin := p.begin(t)
	if ctx == nil {
		return
	}
	defer p.probes.Done()
	one := probe{dialer{
		upstream: t.upstream, hostname: t.hostname, tokens: t.tokens, withoutLogin: !withLogin,
	}, p.options.timeouts}
	f, is := one.run(ctx)
	p.end(t, f, is)
}

// begin returns the context of a probe and whether it is to log in; a nil context when there is
// to be no probe.
func (p *Prober) begin(t *target) (ctx context.Context, withLogin bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running || t.gone || t.cancel != nil {
		return nil, false
	}
	now := p.options.Clock.Now()
	p.noteUse(t)
	if rest := p.rest(t, now); rest > 0 {
		p.arm(t, rest)
		return nil, false
	}
	p.probes.Add(1)
	t.probed = now
	ctx, t.cancel = context.WithCancel(p.work)
	return ctx, p.mayLogIn(t, now)
}

// noteUse learns when a delivery was last of use, also over a connection that is open for long.
func (p *Prober) noteUse(t *target) {
	for _, r := range p.options.Uses() {
		if r.Name == t.upstream.Name && r.LastSuccess.After(t.used) {
			t.used = r.LastSuccess
		}
	}
}

// rest is for how long what deliveries show makes a probe needless: it would take one more of
// the connections that the upstream allows.
func (p *Prober) rest(t *target, now time.Time) time.Duration {
	if t.report == nil || !t.report.Reachable || !t.used.After(t.doubted) {
		return 0
	}
	rest := p.settings.Interval - now.Sub(t.used)
	if t.upstream.TLS != config.TLSNone {
		rest = min(rest, certificateAge-now.Sub(t.inspected))
	}
	return rest
}

// end takes in what a probe brought, and sets the time of the next one.
func (p *Prober) end(t *target, f facts, is finding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.cancel()
	t.cancel = nil
	if t.gone || p.work.Err() != nil {
		// What was cut off looks like a fault.
		return
	}
	if is.fault != "" {
		t.failures++
	}
	if t.failures != 1 || !mayPass(is.fault) {
		p.learn(t, f, is)
	}
	p.arm(t, p.pause(t))
}

// mayPass reports whether a fault is one that networks have for a moment, as right after the start
// of a pod. The next probe, a few seconds later, has to confirm it.
func mayPass(fault config.Fault) bool {
	switch fault {
	case config.FaultUnresolved, config.FaultUnreachable, config.FaultSession, config.FaultTLS:
		return true
	}
	return false
}
