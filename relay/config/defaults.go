package config

import (
	"cmp"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/provider"
)

// Off is the address that turns an HTTP port off.
const Off = "off"

const (
	kibibyte = 1 << 10
	mebibyte = 1 << 20
)

// setDefaults gives every field that is zero its default.
func (c *Config) setDefaults() {
	c.Listeners.setDefaults()
	setDefault(&c.TLS.MinVersion, "1.2")
	for i := range c.Upstreams {
		c.Upstreams[i].setDefaults()
	}
	c.Queue.setDefaults()
	setDefault(&c.Message.MaxSize, 25*mebibyte)
	setDefault(&c.Message.MaxRecipients, 100)
	setDefault(&c.Message.BareLF, BareLFNormalize)
	setDefault(&c.Message.MissingFrom, MissingFromAdd)
	c.Probe.setDefaults()
	setDefault(&c.Logging.Level, LevelInfo)
	setDefault(&c.Logging.Recipients, RecipientsFull)
	c.Admin.setDefaults()
}

func (l *Listeners) setDefaults() {
	setDefault(&l.Submissions.Address, ":465")
	setDefault(&l.Submission.Address, ":587")
	setDefault(&l.Silence, 5*time.Second)
	setDefault(&l.MaxConnections, 12000)
	setDefault(&l.MaxConnectionsPerAddress, 2000)
}

// setDefaults takes what is not set from the provider first.
func (u *Upstream) setDefaults() {
	if p := provider.Lookup(u.Provider); p != nil {
		u.fill(p)
	}
	setDefault(&u.Weight, 1)
	u.Limits.setDefaults()
}

func (u *Upstream) fill(p *provider.Provider) {
	setDefault(&u.Host, p.Host)
	switch u.TLS {
	case TLSImplicit:
		setDefault(&u.Port, p.Implicit)
	case TLSStartTLS:
		setDefault(&u.Port, p.StartTLS)
	}
	setDefault(&u.Limits.Connections, p.Limits.Connections)
	setDefault(&u.Limits.MessagesPerConnection, p.Limits.MessagesPerConnection)
	setDefault(&u.Limits.RecipientsPerMessage, p.Limits.RecipientsPerMessage)
	if u.Limits.Rates == nil {
		u.Limits.Rates = RatesOf(p)
	}
	if u.Auth.PasswordFile != "" {
		setDefault(&u.Auth.Mechanism, p.Mechanism)
	}
	if u.UnsignedHeaders == nil {
		u.UnsignedHeaders = p.UnsignedHeaders
	}
}

// RatesOf are the rates of a provider, which hold where none are set.
func RatesOf(p *provider.Provider) []Rate {
	var rates []Rate
	for _, r := range p.Limits.Rates {
		rates = append(rates, Rate(r))
	}
	return rates
}

func (l *UpstreamLimits) setDefaults() {
	setDefault(&l.Connections, 8)
	setDefault(&l.MessagesPerConnection, 100)
	setDefault(&l.RecipientsPerMessage, 100)
}

func (q *Queue) setDefaults() {
	setDefault(&q.Directory, "/var/spool/mailrelay")
	setDefault(&q.Lifetime, 120*time.Hour)
	setDefault(&q.RetryInitial, time.Minute)
	setDefault(&q.RetryMax, 30*time.Minute)
	setDefault(&q.SenderHold, 24*time.Hour)
	setDefault(&q.LowSpace, 64*mebibyte)
	setDefault(&q.DelayNotice, 4*time.Hour)
	setDefault(&q.BounceSender, q.Postmaster)
	setDefault(&q.DeadLetterRetention, 14*24*time.Hour)
}

func (a *Admin) setDefaults() {
	setDefault(&a.Probes, ":8080")
	setDefault(&a.Metrics, ":9090")
	if a.StatusClientCAFile == "" {
		setDefault(&a.Status, Off)
	}
	setDefault(&a.Status, ":8443")
}

func setDefault[T comparable](field *T, value T) { *field = cmp.Or(*field, value) }
