package served

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

const (
	// interval is how often the ports are looked at when nothing changes.
	interval = time.Minute
	// again is how soon they are looked at again when something was wrong.
	again = 5 * time.Second
	// timeout is how long one look may take.
	timeout = 10 * time.Second
)

// Options say what a Watch looks at.
type Options struct {
	// Submissions begins with TLS, Submission with STARTTLS; nil for one that is off.
	Submissions, Submission net.Addr
	// Own gets to know where the looks come from; a new one when nil.
	Own *Own
	// Snapshot is the configuration that is in use.
	Snapshot func() *config.Snapshot
	// Logger gets a line for each look that finds something else wrong than the one before.
	Logger *slog.Logger

	timeout time.Duration
}

// Watch looks at the ports again and again.
type Watch struct {
	options Options
	changed chan struct{}

	mu sync.Mutex
	// seen is the configuration that the newest look was at, and found what it saw.
	seen  *config.Snapshot
	found map[string][]config.ServedReport
}

// New returns a Watch that has seen nothing yet.
func New(o Options) *Watch {
	if o.Own == nil {
		o.Own = new(Own)
	}
	o.timeout = cmp.Or(o.timeout, timeout)
	return &Watch{options: o, changed: make(chan struct{}, 1)}
}

// Changed has the ports looked at at once.
func (w *Watch) Changed() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Run looks until ctx is done.
func (w *Watch) Run(ctx context.Context) error {
	complaint := ""
	for ctx.Err() == nil {
		said := w.look(ctx)
		if said != "" && said != complaint {
			w.options.Logger.Warn("the relay's own port does not show what it should", "problem", said)
		}
		complaint = said
		wait := interval
		if said != "" {
			wait = again
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-w.changed:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// look looks at all ports for all names, and returns the first thing that is wrong.
func (w *Watch) look(ctx context.Context) (complaint string) {
	snapshot := w.options.Snapshot()
	found := w.show(ctx, snapshot)
	for _, certificate := range snapshot.Certificates() {
		for _, report := range found[certificate.Name] {
			complaint = cmp.Or(complaint, report.Error)
		}
	}
	if ctx.Err() != nil || !Same(snapshot, w.options.Snapshot()) {
		// What was seen may belong to either. There will be another look.
		w.Changed()
		return ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen, w.found = snapshot, found
	return complaint
}

// show asks all ports for all names, by the certificates that they are to show. The ports are
// asked at the same time, and a port for one name after the other, so that a look takes few of the
// connections that there may be; together they have no longer than the timeout.
func (w *Watch) show(ctx context.Context, snapshot *config.Snapshot) map[string][]config.ServedReport {
	ctx, cancel := context.WithTimeout(ctx, w.options.timeout)
	defer cancel()
	ports := w.ports()
	byPort := make([]map[string][]config.ServedReport, len(ports))
	var asking sync.WaitGroup
	for i, p := range ports {
		asking.Go(func() { byPort[i] = p.showAll(ctx, snapshot) })
	}
	asking.Wait()
	found := map[string][]config.ServedReport{}
	for _, shown := range byPort {
		for name, reports := range shown {
			found[name] = append(found[name], reports...)
		}
	}
	return found
}

// Reports are the certificates of the configuration in use, with what clients are shown. A
// certificate that was loaded since the newest look comes without.
func (w *Watch) Reports() []config.CertificateReport {
	snapshot := w.options.Snapshot()
	reports := snapshot.Certificates()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil || !Same(w.seen, snapshot) {
		return reports
	}
	for i := range reports {
		reports[i].Served = w.found[reports[i].Name]
	}
	return reports
}

// Same reports whether a look at the ports shows the same of both, so that there need be no other.
func Same(a, b *config.Snapshot) bool {
	return a.Internal == b.Internal && a.External == b.External && slices.Equal(a.Config.TLS.Names, b.Config.TLS.Names)
}

// hosts are the names to ask for where a certificate is to be shown: that of the relay for the
// internal one, those of tls.names, or else one that it is for, for the external one. An external
// certificate may be for the relay's own name as well, and is the one to be shown for it then.
func hosts(s *config.Snapshot, certificate string) []string {
	if certificate == config.InternalCertificate {
		return []string{internalHost(s)}
	}
	names := s.Config.TLS.Names
	if len(names) == 0 {
		names = firstName(s.External.Leaf.DNSNames)
	}
	if own := s.Config.Hostname; s.CertificateFor(own) == s.External && !slices.Contains(names, own) {
		names = append(slices.Clone(names), own)
	}
	return names
}

// internalHost is a name for which clients are shown the internal certificate, empty for none.
func internalHost(s *config.Snapshot) string {
	for _, name := range append([]string{s.Config.Hostname}, s.Internal.Leaf.DNSNames...) {
		if !isWildcard(name) && s.CertificateFor(name) == s.Internal {
			return name
		}
	}
	return ""
}

// firstName is the first that a client can ask for.
func firstName(names []string) []string {
	for _, name := range names {
		if name != "" && !isWildcard(name) {
			return []string{name}
		}
	}
	return nil
}

func isWildcard(name string) bool { return strings.HasPrefix(name, "*") }
