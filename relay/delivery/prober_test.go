package delivery

import (
	"context"
	"crypto/tls"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// testProber is a Prober for one server, on a clock that is moved by hand: what is due is done
// when advance returns.
type testProber struct {
	*Prober
	t        *testing.T
	srv      *server
	clock    *fakeClock
	logs     *syncBuffer
	snapshot config.Snapshot
	// use is what the scheduler tells.
	use config.UpstreamReport
}

func newTestProber(t *testing.T, s script, change ...func(*config.Config, *config.ResolvedUpstream)) *testProber {
	t.Helper()
	p := &testProber{t: t, srv: newServer(t, s), clock: newFakeClock(), logs: new(syncBuffer), use: config.UpstreamReport{Name: "test"}}
	c := &config.Config{Hostname: "relay.test", Probe: config.Probe{Interval: 5 * time.Minute}}
	u := p.srv.upstream()
	for _, f := range change {
		f(c, &u)
	}
	p.snapshot = config.Snapshot{Config: c, Upstreams: []config.ResolvedUpstream{u}}
	timeouts := impatientProbe()
	timeouts.Greeting = patience
	p.Prober = NewProber(ProberOptions{
		Snapshot: &p.snapshot, Clock: p.clock, Host: "this", Rand: func() float64 { return 0.5 },
		Logger: slog.New(slog.NewTextHandler(p.logs, nil)), timeouts: timeouts,
		Uses: func() []config.UpstreamReport {
			return []config.UpstreamReport{p.use}
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() { defer close(stopped); _ = p.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-stopped })
	eventually(t, "the prober runs", func() bool {
		p.clock.mu.Lock()
		defer p.clock.mu.Unlock()
		return len(p.clock.timers) == 1
	})
	return p
}

// withLogin gives the upstream credentials.
func withLogin(_ *config.Config, u *config.ResolvedUpstream) { loginTo(u) }

// after lets time pass and returns how many sessions and how many logins there were in it.
func (p *testProber) after(d time.Duration) (sessions, logins int) {
	p.t.Helper()
	n, m := p.srv.connections(), p.loginCount()
	p.clock.advance(d)
	return p.srv.connections() - n, p.loginCount() - m
}

func (p *testProber) loginCount() int {
	n := 0
	for _, command := range p.srv.said() {
		if strings.HasPrefix(command, "AUTH") {
			n++
		}
	}
	return n
}

// want fails the test unless so many sessions and logins happened.
func (p *testProber) want(what string, d time.Duration, sessions, logins int) {
	p.t.Helper()
	if n, m := p.after(d); n != sessions || m != logins {
		p.t.Errorf("%s: %d sessions with %d logins in %s, want %d with %d", what, n, m, d, sessions, logins)
	}
}

// reload applies a changed configuration.
func (p *testProber) reload(change func(*config.Config, *config.ResolvedUpstream)) {
	c, u := *p.snapshot.Config, p.snapshot.Upstreams[0]
	change(&c, &u)
	p.snapshot = config.Snapshot{Config: &c, Upstreams: []config.ResolvedUpstream{u}}
	p.Apply(&p.snapshot)
}

// report is that of the only upstream.
func (p *testProber) report() *config.ProbeReport {
	p.t.Helper()
	reports := p.Reports()
	if len(reports) != 1 || reports[0].Name != "test" || reports[0].Probe == nil {
		p.t.Fatalf("reports %+v", reports)
	}
	return reports[0].Probe
}

// deliver opens a session as a delivery does.
func (p *testProber) deliver(change ...func(*dialer)) {
	d := dialer{upstream: p.snapshot.Upstreams[0], hostname: "relay.test", timeouts: shortTimeouts()}
	d.observe = p.observer(d.upstream)
	for _, f := range change {
		f(&d)
	}
	if c, failure := d.connect(context.Background()); failure == nil {
		c.close()
	}
}

func TestUpstreamIsProbedAtOnceAndThenAtTheInterval(t *testing.T) {
	t.Parallel()
	p := newTestProber(t, script{mode: config.TLSImplicit})
	if reports := p.Reports(); len(reports) != 1 || reports[0].Probe != nil {
		t.Errorf("before the first probe: %+v", reports)
	}
	p.want("start", 0, 1, 0)
	if r := p.report(); !r.Reachable || r.Login != nil || !r.Time.Equal(p.clock.Now()) {
		t.Errorf("report %+v", r)
	}
	p.want("then", 5*time.Minute-1, 0, 0)
	p.want("then", 1, 1, 0)
	p.want("in an hour", time.Hour, 12, 0)
	p.reload(func(c *config.Config, _ *config.ResolvedUpstream) { c.Logging.Level = "Debug" })
	p.want("what does not concern it", 0, 0, 0)
	p.reload(func(c *config.Config, _ *config.ResolvedUpstream) { c.Probe.Interval = time.Minute })
	p.want("shorter interval", time.Minute, 1, 0)
}

func TestBrokenUpstreamIsProbedMoreOften(t *testing.T) {
	t.Parallel()
	p := newTestProber(t, script{mode: config.TLSNone, on: in(7, "GREETING", "554 no")})
	p.want("start", 0, 1, 0)
	if p.Reports()[0].Probe != nil {
		t.Error("one failure alone is taken for a fault")
	}
	p.want("just set up", (5+10+20+40)*time.Second, 4, 0)
	p.want("broken for good", 90*time.Second, 2, 0)
	if r := p.report(); r.Reachable || r.Fault != config.FaultSession {
		t.Errorf("report %+v", r)
	}
	p.want("mended", 45*time.Second, 1, 0)
	if r := p.report(); !r.Reachable || r.Error != "" {
		t.Errorf("report %+v", r)
	}
	p.want("mended", 5*time.Minute-1, 0, 0)
}

func TestChangedUpstreamIsProbedAtOnce(t *testing.T) {
	t.Parallel()
	p := newTestProber(t, script{mode: config.TLSImplicit}, withLogin)
	p.want("start", 0, 1, 1)
	p.reload(withLogin)
	p.want("another password", 0, 1, 1)
	p.reload(func(_ *config.Config, u *config.ResolvedUpstream) { u.Limits.Connections++ })
	p.want("another limit", 0, 1, 0)
	if r := p.report(); r.Login == nil || !r.Login.Authenticated {
		t.Errorf("the login, which is the same, is forgotten: %+v", r.Login)
	}
	p.snapshot = config.Snapshot{Config: p.snapshot.Config}
	p.Apply(&p.snapshot)
	p.want("no upstream", time.Hour, 0, 0)
	if len(p.Reports()) != 0 {
		t.Error("an upstream that is gone is reported")
	}
}

func TestLoginIsTriedByOneHostOnly(t *testing.T) {
	t.Parallel()
	for host, logins := range map[string]int{"": 1, "this": 1, "another": 0} {
		p := newTestProber(t, script{mode: config.TLSImplicit}, withLogin, func(c *config.Config, _ *config.ResolvedUpstream) {
			c.Probe.LoginHost = host
		})
		p.want("login host "+host, 0, 1, logins)
		if r := p.report(); !r.Reachable || (r.Login != nil) != (logins > 0) {
			t.Errorf("login host %q: %+v", host, r.Login)
		}
	}
}

func TestLoginIsTriedAtMostEveryFiveMinutes(t *testing.T) {
	t.Parallel()
	p := newTestProber(t, script{mode: config.TLSImplicit}, withLogin, func(c *config.Config, _ *config.ResolvedUpstream) {
		c.Probe.Interval = time.Minute
	})
	p.want("start", 0, 1, 1)
	p.want("before five minutes", 4*time.Minute, 4, 0)
	p.want("after them", time.Minute, 1, 1)
	if r := p.report(); r.Login == nil || !r.Login.Authenticated {
		t.Errorf("login %+v", r.Login)
	}
}

// Providers lock accounts after a few wrong passwords.
func TestRefusedLoginIsTriedLessAndLessOften(t *testing.T) {
	t.Parallel()
	p := newTestProber(t, script{mode: config.TLSImplicit, on: func(_ int, verb, _ string) string {
		if verb == "AUTH" {
			return "535 5.7.8 no"
		}
		return ""
	}}, withLogin)
	p.want("start", 0, 1, 1)
	for pause := 15 * time.Minute; pause < 6*time.Hour; pause *= 2 {
		p.want("before the pause is over", pause-5*time.Minute, int(pause/(5*time.Minute))-1, 0)
		if r := p.report(); !r.Reachable || r.Usable() || r.Login.Fault != config.FaultLoginRefused {
			t.Errorf("between two logins: %+v", r.Login)
		}
		p.want("once it is", 5*time.Minute, 1, 1)
	}
	p.want("a day", 24*time.Hour, 288, 4)
	p.reload(func(_ *config.Config, u *config.ResolvedUpstream) { u.Limits.Connections++ })
	p.want("another limit", 0, 1, 0)
	p.reload(withLogin)
	p.want("another password", 0, 1, 1)
}

func TestUpstreamWithoutLoginIsNoRefusal(t *testing.T) {
	t.Parallel()
	p := newTestProber(t, script{mode: config.TLSImplicit, keywords: []string{"SIZE"}}, withLogin)
	p.want("start", 0, 1, 0)
	p.srv.mu.Lock()
	p.srv.script.keywords = nil
	p.srv.mu.Unlock()
	p.want("offered", 5*time.Minute, 1, 1)
}

func TestDeliveriesTakeThePlaceOfProbes(t *testing.T) {
	t.Parallel()
	p := newTestProber(t, script{mode: config.TLSNone}, withLogin)
	p.want("start", 0, 1, 1)
	for range 3 {
		p.clock.advance(4 * time.Minute)
		p.deliver()
		p.want("after a session", time.Minute, 0, 0)
	}
	if r := p.report(); !r.Login.Authenticated || !r.Login.Time.Equal(p.clock.Now().Add(-time.Minute)) {
		t.Errorf("login %+v at %s", r.Login, p.clock.Now())
	}
	p.want("until the interval is over", 4*time.Minute-1, 0, 0)
	// Messages over a connection that is open for long show as much.
	p.use.LastSuccess = p.clock.Now()
	p.want("after a message", 4*time.Minute, 0, 0)
	p.want("without one", time.Minute, 1, 1)
}

// A message that is taken over a connection that is open for long tells that the login works.
func TestDeliveryThatWorkedSparesTheLogin(t *testing.T) {
	t.Parallel()
	p := newTestProber(t, script{mode: config.TLSImplicit}, withLogin)
	p.want("start", 0, 1, 1)
	for range 15 {
		p.use.LastSuccess = p.clock.Now().Add(4 * time.Minute)
		p.want("busy", 4*time.Minute-1, 0, 0)
		p.clock.advance(1)
	}
	if n := p.srv.connections(); n != 2 || p.loginCount() != 1 {
		t.Errorf("%d sessions with %d logins, want one to look at the certificate", n, p.loginCount())
	}
}

func TestRefusedLoginOfADeliveryIsNotRepeated(t *testing.T) {
	t.Parallel()
	p := newTestProber(t, script{mode: config.TLSImplicit, on: func(session int, verb, _ string) string {
		if verb == "AUTH" && session > 1 {
			return "535 5.7.8 no"
		}
		return ""
	}}, withLogin)
	p.want("start", 0, 1, 1)
	p.deliver()
	if r := p.report(); !r.Reachable || r.Login.Fault != config.FaultLoginRefused {
		t.Errorf("login %+v", r.Login)
	}
	p.want("until the pause is over", 15*time.Minute-1, 2, 0)
	p.want("once it is", 5*time.Minute, 1, 1)
}

func TestFailureOfADeliveryIsLookedInto(t *testing.T) {
	t.Parallel()
	p := newTestProber(t, script{mode: config.TLSStartTLS})
	p.want("start", 0, 1, 0)
	p.use.LastSuccess = p.clock.Now()
	p.clock.advance(time.Minute)
	p.deliver(func(d *dialer) { d.upstream.RootCAs = nil; d.hostname = "other" })
	if r := p.report(); !r.Reachable {
		t.Errorf("a delivery is taken at its word: %+v", r)
	}
	p.want("a probe that looks", 0, 1, 0)
	p.deliver(func(d *dialer) { d.upstream.RootCAs = nil })
	p.want("not at once again", 44*time.Second, 0, 0)
	p.want("soon", time.Second, 1, 0)
	old := p.snapshot.Upstreams[0]
	old.Port++
	p.deliver(func(d *dialer) { d.upstream.RootCAs = nil; d.observe = p.observer(old) })
	p.want("a session of before a change", 4*time.Minute, 0, 0)
}

// After a failover nothing may be delivered to an upstream for long.
func TestSessionDisprovesTheErrorOfADelivery(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		step      Step
		disproved bool
	}{{StepConnect, true}, {StepSTARTTLS, true}, {StepAUTH, true}, {StepMAIL, false}, {StepEndOfData, false}} {
		p := newTestProber(t, script{mode: config.TLSImplicit}, withLogin)
		p.use.LastError, p.use.LastErrorTime, p.use.LastErrorStep = "it said no", p.clock.Now(), string(tt.step)
		p.clock.advance(0)
		if r := p.Reports()[0]; r.LastError == "" {
			t.Errorf("%s: a session of the same time disproves it", tt.step)
		}
		p.clock.advance(5 * time.Minute)
		if r := p.Reports()[0]; (r.LastError == "") != tt.disproved {
			t.Errorf("%s: after a session %+v", tt.step, r)
		}
	}
}

func TestSessionWithoutLoginDisprovesNoRefusal(t *testing.T) {
	t.Parallel()
	p := newTestProber(t, script{mode: config.TLSImplicit}, withLogin, func(c *config.Config, _ *config.ResolvedUpstream) {
		c.Probe.LoginHost = "another"
	})
	p.use.LastError, p.use.LastErrorTime, p.use.LastErrorStep = "it said no", p.clock.Now(), string(StepAUTH)
	p.clock.advance(5 * time.Minute)
	if r := p.Reports()[0]; r.LastError == "" {
		t.Errorf("report %+v", r)
	}
}

func TestCertificateIsSeenThoughDeliveriesResumeTLS(t *testing.T) {
	t.Parallel()
	p := newTestProber(t, script{mode: config.TLSImplicit})
	p.want("start", 0, 1, 0)
	cache := tls.NewLRUClientSessionCache(1)
	resumed, probes := 0, 0
	for range 59 {
		p.clock.advance(time.Minute)
		before := p.srv.connections()
		p.deliver(func(d *dialer) {
			d.sessions = cache
			observe := d.observe
			d.observe = func(f facts) {
				if f.resumed() {
					resumed++
				}
				observe(f)
			}
		})
		probes += p.srv.connections() - before - 1
	}
	if resumed == 0 || probes != 0 {
		t.Errorf("%d sessions were resumed, %d probes", resumed, probes)
	}
	if r := p.report(); r.Certificate == nil {
		t.Error("a resumed session hides the certificate")
	}
	// The first of them did not resume.
	p.want("an hour after the last look", 2*time.Minute, 1, 0)
}

func TestOnlyNewsIsLogged(t *testing.T) {
	t.Parallel()
	var answer atomic.Value
	answer.Store("554 5.7.1 no service, number 1")
	p := newTestProber(t, script{mode: config.TLSNone, on: func(_ int, verb, _ string) string {
		if verb == "GREETING" {
			return answer.Load().(string)
		}
		return ""
	}})
	lines := func() int { return strings.Count(p.logs.String(), "\n") }
	p.clock.advance(5 * time.Second)
	first := p.report().Error
	answer.Store("554 5.7.1 no service, number 2")
	p.clock.advance(10 * time.Minute)
	if log := p.logs.String(); lines() != 1 || !strings.Contains(log, "number 1") || !strings.Contains(log, "fault=SessionRefused") {
		t.Errorf("log:\n%s", log)
	}
	if got := p.report().Error; got != first {
		t.Errorf("the same refusal is told in other words: %s", got)
	}
	answer.Store("521 5.3.2 never")
	p.clock.advance(time.Minute)
	if got := p.report().Error; !strings.Contains(got, "521 5.3.2 never") || lines() != 1 {
		t.Errorf("another refusal: %s", got)
	}
	answer.Store("")
	p.clock.advance(time.Hour)
	if log := p.logs.String(); lines() != 2 || !strings.Contains(log, "the upstream can be used") {
		t.Errorf("log:\n%s", log)
	}
}

func TestStopEndsAProbeAtOnce(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone, on: in(1<<30, "EHLO", hang)})
	timeouts := impatientProbe()
	timeouts.Command = time.Hour
	u := srv.upstream()
	snapshot := &config.Snapshot{
		Config:    &config.Config{Hostname: "relay.test", Probe: config.Probe{Interval: time.Minute}},
		Upstreams: []config.ResolvedUpstream{u},
	}
	p := NewProber(ProberOptions{Snapshot: snapshot, Logger: quietLogger(), timeouts: timeouts})
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() { defer close(stopped); _ = p.Run(ctx) }()
	eventually(t, "a probe that hangs", func() bool { return len(srv.said()) > 0 })
	loginTo(&u)
	p.Apply(&config.Snapshot{Config: snapshot.Config, Upstreams: []config.ResolvedUpstream{u}})
	eventually(t, "the changed upstream is probed meanwhile", func() bool { return srv.connections() == 2 && len(srv.said()) > 1 })
	cancel()
	select {
	case <-stopped:
	case <-time.After(patience):
		t.Fatal("the prober does not stop")
	}
	if r := p.Reports(); r[0].Probe != nil {
		t.Errorf("what was cut off is told: %+v", r[0].Probe)
	}
}

func TestRefusedLoginIsNotForgottenWhenALimitChanges(t *testing.T) {
	t.Parallel()
	p := newTestProber(t, script{mode: config.TLSImplicit, on: func(_ int, verb, _ string) string {
		if verb == "AUTH" {
			return "535 5.7.8 no"
		}
		return ""
	}}, withLogin)
	p.want("start", 0, 1, 1)
	for range 2 {
		p.reload(func(_ *config.Config, u *config.ResolvedUpstream) { u.Limits.Connections++ })
		p.want("another limit", 0, 1, 0)
		if r := p.report(); r.Usable() || r.Login == nil || r.Login.Fault != config.FaultLoginRefused {
			t.Errorf("report %+v", r)
		}
	}
}
