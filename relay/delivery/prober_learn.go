package delivery

import (
	"log/slog"
	"strings"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// Reports say of each upstream, in the order of the configuration, what deliveries and the
// newest session showed.
func (p *Prober) Reports() []config.UpstreamReport {
	uses := p.options.Uses()
	p.mu.Lock()
	defer p.mu.Unlock()
	reports := make([]config.UpstreamReport, 0, len(p.targets))
	for _, t := range p.targets {
		report := config.UpstreamReport{Name: t.upstream.Name}
		for _, use := range uses {
			if use.Name == report.Name && t.disproves(use) {
				report.LastSuccess = use.LastSuccess
			} else if use.Name == report.Name {
				report = use
			}
		}
		report.Probe = t.report
		reports = append(reports, report)
	}
	return reports
}

// disproves reports whether a session was opened since a delivery could not open one: there may be
// no other delivery for long that would show it.
func (t *target) disproves(use config.UpstreamReport) bool {
	if t.report == nil || !t.report.Usable() || !Step(use.LastErrorStep).opens() || !t.report.Time.After(use.LastErrorTime) {
		return false
	}
	login := t.report.Login
	return Step(use.LastErrorStep) != StepAUTH || login != nil && login.Time.After(use.LastErrorTime)
}

// observer returns what the sessions of deliveries to an upstream are told to, nil for a nil
// Prober.
func (p *Prober) observer(u config.ResolvedUpstream) func(facts) {
	if p == nil {
		return nil
	}
	return func(f facts) { p.saw(u, f) }
}

// saw learns from a session of a delivery. One that failed is not taken at its word but for the
// login, which must not be tried once more.
func (p *Prober) saw(u config.ResolvedUpstream, f facts) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := findTarget(p.targets, u.Name)
	if t == nil || !sameUpstream(t.upstream, u) {
		return
	}
	switch is := judge(u, f); {
	case is.fault == "":
		t.used = p.options.Clock.Now()
		p.learn(t, f, is)
	case ofLogin(is.fault):
		p.learn(t, f, is)
	case is.fault != config.FaultThrottled:
		p.hasten(t)
	}
}

// hasten brings the next probe forward. While all is well there is none for minutes.
func (p *Prober) hasten(t *target) {
	if t.cancel != nil {
		// A probe is under way.
		return
	}
	now := p.options.Clock.Now()
	t.doubted = now
	if soon := t.probed.Add(min(probeAgain.longest, p.settings.Interval)); soon.Before(t.due) {
		p.arm(t, max(0, soon.Sub(now)))
	}
}

// learn takes in what a session showed. It replaces the report, which others may hold.
func (p *Prober) learn(t *target, f facts, is finding) {
	now := p.options.Clock.Now()
	old, report := t.report, newProbeReport(f, is, now)
	if old == nil {
		old = &config.ProbeReport{Login: t.login}
	}
	if f.resumed() && old.Certificate != nil {
		report.Certificate = old.Certificate
	} else if report.Certificate != nil {
		t.inspected = now
	}
	if report.Login == nil {
		report.Login = old.Login
	}
	if f.loggedIn() || f.loginFailed(is) {
		t.logins.tried(f.loggedIn(), now, p.settings.Interval)
	}
	if report.Reachable {
		t.failures = 0
	}
	keepWords(old, report, f)
	t.report = report
	if t.changed(old) {
		p.log(t)
	}
}

// keepWords keeps the words of a refusal that is the same as before: upstreams like to number
// theirs, and what is the same would look like news.
func keepWords(old, report *config.ProbeReport, f facts) {
	if f.failure == nil || f.failure.Code == 0 {
		return
	}
	reply := f.failure.Reply()
	code, _, _ := strings.Cut(reply, " ")
	same := func(fault, was config.Fault, words string) bool {
		return fault == was && strings.Contains(words, ": "+code+" ")
	}
	if same(report.Fault, old.Fault, old.Error) {
		report.Error = old.Error
	}
	if report.Login != nil && old.Login != nil && report.Login != old.Login && same(report.Login.Fault, old.Login.Fault, old.Login.Error) {
		report.Login.Error = old.Login.Error
	}
}

// changed reports whether the report says something else than the old one of whether the
// upstream can be used.
func (t *target) changed(old *config.ProbeReport) bool {
	if old.Time.IsZero() {
		return true
	}
	return t.report.Fault != old.Fault || loginFault(t.report) != loginFault(old)
}

// loginFault is what is wrong with the login, empty when nothing is known to be.
func loginFault(r *config.ProbeReport) config.Fault {
	if r.Login == nil {
		return ""
	}
	return r.Login.Fault
}

// log tells what was found, when that is news.
func (p *Prober) log(t *target) {
	r := t.report
	log := p.options.Logger.With("upstream", t.upstream.Name)
	switch {
	case r.Fault != "":
		log.Warn("probe: the upstream cannot be used", "fault", r.Fault, "error", r.Error)
	case loginFault(r) != "":
		log.Warn("probe: the upstream cannot be used", "fault", r.Login.Fault, "error", r.Login.Error)
	default:
		log.Info("probe: the upstream can be used", slog.String("tls", r.TLSVersion),
			slog.Bool("authenticated", r.Login != nil), slog.Any("capabilities", r.Capabilities))
	}
}
