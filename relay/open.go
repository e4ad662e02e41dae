package relay

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailrelay-dev/mailrelay-operator/relay/admin"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/delivery"
	"github.com/mailrelay-dev/mailrelay-operator/relay/frontdoor"
	"github.com/mailrelay-dev/mailrelay-operator/relay/sasl"
	"github.com/mailrelay-dev/mailrelay-operator/relay/served"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
	"github.com/mailrelay-dev/mailrelay-operator/relay/submission"
)

// open makes all parts. Nothing runs yet, but the ports are taken. What was opened before
// an error is closed again.
func open(o Options, snapshot *config.Snapshot) (*parts, error) {
	p := &parts{log: o.Logger, level: o.Level, fs: o.fs}
	p.current.Store(snapshot)
	registry := admin.NewRegistry(o.Version)
	registry.MustRegister(admin.NewConfigCollector(p.current.Load))
	for _, step := range []func(*config.Config, *prometheus.Registry) error{
		p.openSpool, p.openDoor, p.openServer, p.openAdmin,
	} {
		if err := step(snapshot.Config, registry); err != nil {
			return nil, errors.Join(err, p.close())
		}
	}
	p.apply(snapshot)
	return p, nil
}

// openSpool opens the spool, the scheduler that empties it, and what looks at the upstreams.
func (p *parts) openSpool(c *config.Config, registry *prometheus.Registry) error {
	store, err := spool.Open(spool.Options{
		Directory: c.Queue.Directory,
		FS:        p.fs,
		LowSpace:  c.Queue.LowSpace,
		Logger:    p.log,

		DeadLetterRetention: c.Queue.DeadLetterRetention,
		// No draft is committed before there is a scheduler.
		OnCommit: func(e *spool.Envelope) { p.scheduler.Enqueue(e) },
	})
	if err != nil {
		return fmt.Errorf("open the spool: %w", err)
	}
	p.store = store
	tokens := new(delivery.Tokens)
	p.prober = delivery.NewProber(delivery.ProberOptions{
		Snapshot: p.current.Load(),
		// It does not run before there is a scheduler.
		Uses:   func() []config.UpstreamReport { return p.scheduler.Reports() },
		Tokens: tokens,
		Logger: p.log,
	})
	registry.MustRegister(admin.NewUpstreamCollector(p.prober.Reports))
	p.scheduler = delivery.New(delivery.Options{
		Spool:       store,
		Snapshot:    p.current.Load(),
		Prober:      p.prober,
		Tokens:      tokens,
		StopTimeout: deliveryTimeout,
		Logger:      p.log,
		Registerer:  registry,
	})
	return nil
}

// openDoor takes the two ports for mail.
func (p *parts) openDoor(c *config.Config, registry *prometheus.Registry) error {
	own := new(served.Own)
	options := frontdoor.Options{
		Hostname:   c.Hostname,
		MinVersion: tlsVersion(c.TLS.MinVersion),
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return p.current.Load().CertificateFor(hello.ServerName), nil
		},
		ClientCAs: p.clientCAs,
		Own:       own.Has,
		Limits: frontdoor.Limits{
			Connections: c.Listeners.MaxConnections,
			PerAddress:  c.Listeners.MaxConnectionsPerAddress,
		},
		Timeouts:   frontdoor.Timeouts{Silence: c.Listeners.Silence},
		Logger:     p.log,
		Registerer: registry,
	}
	var err error
	if options.Submissions, err = listen("submissions", c.Listeners.Submissions); err != nil {
		return err
	}
	if options.Submission, err = listen("submission", c.Listeners.Submission); err != nil {
		return errors.Join(err, closeListener(options.Submissions))
	}
	if p.door, err = frontdoor.New(options); err != nil {
		return errors.Join(fmt.Errorf("open the ports: %w", err),
			closeListener(options.Submissions), closeListener(options.Submission))
	}
	p.addresses.Submissions = address(options.Submissions)
	p.addresses.Submission = address(options.Submission)
	p.watch = served.New(served.Options{
		Submissions: p.addresses.Submissions, Submission: p.addresses.Submission,
		Own: own, Snapshot: p.current.Load, Logger: p.log,
	})
	return nil
}

func (p *parts) openServer(_ *config.Config, registry *prometheus.Registry) (err error) {
	p.tokens = &sasl.SignedTokens{Users: &p.users, Trust: p.trust, Now: time.Now}
	p.server, err = submission.NewServer(submission.Options{
		Config:     func() *config.Config { return p.current.Load().Config },
		Users:      &p.users,
		ClientCAs:  p.clientCAs,
		Tokens:     sasl.AnyTokens{sasl.HashedTokens{TokenDirectory: &p.users}, p.tokens},
		Spool:      p.store,
		Backlog:    p.scheduler.Backlog,
		Logger:     p.log,
		Registerer: registry,
	})
	return err
}

// clientCAs are those of users, by the configuration in use.
func (p *parts) clientCAs() *x509.CertPool { return p.current.Load().ClientCAs }

// trust is whose signed tokens are taken, by the configuration in use.
func (p *parts) trust() sasl.Trust {
	s := p.current.Load()
	return sasl.Trust{Audience: s.Config.Users.Tokens.Audience, Keys: s.TokenKeys}
}

func (p *parts) openAdmin(c *config.Config, registry *prometheus.Registry) (err error) {
	p.admin, err = admin.Listen(admin.Options{
		Ports:    c.Admin,
		Alive:    func() bool { return p.store.Err() == nil },
		Ready:    p.ready.Load,
		Snapshot: p.current.Load,
		Report:   p.report,
		Gatherer: registry,
		Logger:   p.log,
	})
	if err != nil {
		return err
	}
	p.addresses.Probes = p.admin.Addr("probes")
	p.addresses.Metrics = p.admin.Addr("metrics")
	p.addresses.Status = p.admin.Addr("status")
	return nil
}

// tlsVersion turns tls.minVersion into its number.
func tlsVersion(name string) uint16 {
	if name == "1.3" {
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}

// listen is nil when the listener is disabled.
func listen(name string, l config.Listener) (net.Listener, error) {
	if l.Disabled {
		return nil, nil
	}
	listener, err := net.Listen("tcp", l.Address)
	if err != nil {
		return nil, fmt.Errorf("listeners.%s.address: %w", name, err)
	}
	return listener, nil
}

func address(l net.Listener) net.Addr {
	if l == nil {
		return nil
	}
	return l.Addr()
}

func closeListener(l net.Listener) error {
	if l == nil {
		return nil
	}
	return l.Close()
}
