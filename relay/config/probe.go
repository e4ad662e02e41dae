package config

import "time"

// Probe is how the relay looks at its upstreams when no mail shows whether they can be used.
type Probe struct {
	// Interval between two probes of an upstream, give or take a fifth. Default 5m.
	Interval time.Duration `yaml:"interval,omitempty"`
	// LoginHost is the host name of the machine or pod whose relay tries the login in its
	// probes. Empty means that this one does. Of relays with the same credentials one must be
	// enough, since failed logins lock accounts.
	LoginHost string `yaml:"loginHost,omitempty"`
}

// leastProbeInterval keeps probes from looking like an attack.
const leastProbeInterval = 10 * time.Second

func (p *Probe) setDefaults() { setDefault(&p.Interval, 5*time.Minute) }

func (p *Probe) validate(k *checker) {
	if p.Interval < leastProbeInterval {
		k.failf("probe.interval", "%s is too often, upstreams would take it for an attack: write at least %s", p.Interval, leastProbeInterval)
	}
	if p.LoginHost != "" && !isHostname(p.LoginHost) {
		k.failf("probe.loginHost", "%q is not a host name: write what \"hostname\" prints where the login is to be tried, or leave it out", p.LoginHost)
	}
}
