// Package relay assembles the parts of a relay: configuration, spool, delivery, the
// submission server behind its front door, and the ports for those who watch it.
package relay

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// How long each step of a stop may take; together less than the 30 seconds that Kubernetes
// gives a pod.
const (
	// drainTimeout is for clients to finish the message they are sending.
	drainTimeout = 8 * time.Second
	// deliveryTimeout is for deliveries under way.
	deliveryTimeout = 14 * time.Second
)

// Options say what Serve runs.
type Options struct {
	// ConfigFile is the path of relay.yaml.
	ConfigFile string
	// Version is shown in the metrics.
	Version string
	// Logger is slog.Default when nil.
	Logger *slog.Logger
	// Level is set to what the configuration says; nil leaves the level alone.
	Level *slog.LevelVar
	// OnReady is called once, as soon as mail is taken; may be nil.
	OnReady func(Addresses)

	// fs is the spool's file system; the disk when nil. Tests make it fail.
	fs vfs.FS
}

// Addresses are where a relay listens; nil for what is off.
type Addresses struct {
	Submissions, Submission, Probes, Metrics, Status net.Addr
}

// Serve runs a relay until ctx is done, and then stops it in order: no new clients, the
// deliveries under way, the spool. The error says why it could not start or go on; a disk
// that failed is one, since nothing but a restart is safe then.
func Serve(ctx context.Context, o Options) error {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Level == nil {
		o.Level = new(slog.LevelVar)
	}
	loader := config.NewLoader(o.ConfigFile, config.LoaderOptions{Logger: o.Logger})
	snapshot, err := loader.Load()
	if err != nil {
		return fmt.Errorf("load the configuration:\n%w", err)
	}
	p, err := open(o, snapshot)
	if err != nil {
		return err
	}
	return p.run(ctx, loader, o.OnReady)
}
