package relay

import (
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mailrelay-dev/mailrelay-operator/relay/admin"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/delivery"
	"github.com/mailrelay-dev/mailrelay-operator/relay/frontdoor"
	"github.com/mailrelay-dev/mailrelay-operator/relay/policy"
	"github.com/mailrelay-dev/mailrelay-operator/relay/sasl"
	"github.com/mailrelay-dev/mailrelay-operator/relay/served"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
	"github.com/mailrelay-dev/mailrelay-operator/relay/submission"
)

// parts are what a relay is made of. Mail goes from door to server to store to scheduler;
// a new configuration goes to each of them.
type parts struct {
	log   *slog.Logger
	level *slog.LevelVar
	fs    vfs.FS
	// current is the configuration that all parts have taken over.
	current atomic.Pointer[config.Snapshot]
	// ready is true while mail is taken.
	ready     atomic.Bool
	users     policy.Users
	tokens    *sasl.SignedTokens
	store     *spool.Store
	scheduler *delivery.Scheduler
	prober    *delivery.Prober
	door      *frontdoor.Door
	server    *submission.Server
	admin     *admin.Server
	watch     *served.Watch
	addresses Addresses
}

var levels = map[string]slog.Level{
	config.LevelDebug: slog.LevelDebug,
	config.LevelInfo:  slog.LevelInfo,
	config.LevelWarn:  slog.LevelWarn,
	config.LevelError: slog.LevelError,
}

// apply gives a new configuration to all parts. What the report calls loaded is in use
// everywhere, so current comes after them. Sessions are looked at by what current says.
func (p *parts) apply(s *config.Snapshot) {
	p.level.Set(levels[s.Config.Logging.Level])
	p.users.Replace(s.Users)
	p.store.SetLowSpace(s.Config.Queue.LowSpace)
	p.store.SetDeadLetterRetention(s.Config.Queue.DeadLetterRetention)
	p.scheduler.Apply(s)
	p.prober.Apply(s)
	before := p.current.Swap(s)
	p.server.EndRevoked()
	if !served.Same(before, s) {
		p.watch.Changed()
	}
}

// report is what the status port says.
func (p *parts) report() config.Report {
	s := p.current.Load()
	r := config.Report{
		Loaded:       s.Loaded,
		Users:        len(s.Users),
		Certificates: p.watch.Reports(),
		Queue:        p.scheduler.Queue(),
		Upstreams:    p.prober.Reports(),

		SendersRefused: p.scheduler.SendersRefused(),
		PreviousLogins: p.server.PreviousLogins(),
		TokenKeyMissed: p.tokens.KeyMissed(),
	}
	for _, err := range s.Errors {
		r.Errors = append(r.Errors, err.Error())
	}
	return r
}

// close closes what open opened, for when it could not open everything.
func (p *parts) close() error {
	var errs []error
	if p.door != nil {
		errs = append(errs, p.door.Close())
	}
	if p.store != nil {
		errs = append(errs, p.store.Close())
	}
	return errors.Join(errs...)
}
