package delivery

import (
	"reflect"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// loginInterval is the least time between two logins of probes.
const loginInterval = 5 * time.Minute

// lockout are the pauses after a refused login: accounts are locked after a few of them.
var lockout = backoff{15 * time.Minute, 6 * time.Hour}

// loginTimes are when probes may try the login of an upstream.
type loginTimes struct {
	// due is when the next may be.
	due time.Time
	// refusals in a row.
	refusals int
}

// tried notes a login that was tried, be it by a probe or by a delivery.
func (l *loginTimes) tried(worked bool, now time.Time, interval time.Duration) {
	if worked {
		*l = loginTimes{due: now.Add(max(interval, loginInterval))}
		return
	}
	l.refusals++
	l.due = now.Add(lockout.after(l.refusals))
}

// mayLogIn reports whether a probe may try the login. A delivery that was of use has logged in.
func (p *Prober) mayLogIn(t *target, now time.Time) bool {
	if p.settings.LoginHost != "" && p.settings.LoginHost != p.options.Host {
		return false
	}
	return !now.Before(t.logins.due) && now.Sub(t.used) >= max(p.settings.Interval, loginInterval)
}

// sameLogin reports whether two upstreams take the same credentials to the same place, so that a
// refusal by one is one by the other.
func sameLogin(a, b config.ResolvedUpstream) bool {
	return a.Host == b.Host && a.Login == b.Login && a.ClientCertificate == b.ClientCertificate && reflect.DeepEqual(a.Auth, b.Auth)
}
