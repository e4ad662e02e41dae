package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// task is a part that runs until it is stopped.
type task struct {
	stop context.CancelFunc
	done chan struct{}
	err  error
}

// start runs a part. It does not end with any context but its own, since the order in which
// parts stop matters.
func start(run func(context.Context) error) *task {
	ctx, stop := context.WithCancel(context.Background())
	t := &task{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		t.err = run(ctx)
	}()
	return t
}

// end stops a part and waits for it.
func (t *task) end() error {
	t.stop()
	<-t.done
	return t.err
}

// run runs all parts until ctx is done or one of them cannot go on.
func (p *parts) run(ctx context.Context, loader *config.Loader, onReady func(Addresses)) error {
	watching := start(func(ctx context.Context) error { loader.Watch(ctx, p.apply); return nil })
	delivering := start(p.scheduler.Run)
	probing := start(p.prober.Run)
	submitting := start(p.submit)
	administering := start(p.admin.Serve)
	looking := start(p.watch.Run)
	sweeping := start(p.sweep)
	revoking := start(p.endRevoked)
	p.ready.Store(true)
	p.log.Info("ready", "submissions", text(p.addresses.Submissions), "submission", text(p.addresses.Submission))
	if onReady != nil {
		onReady(p.addresses)
	}

	failed := false
	select {
	case <-ctx.Done():
	case <-p.store.Failed():
		failed = true
	case <-delivering.done:
	case <-submitting.done:
	case <-administering.done:
	}
	p.ready.Store(false)
	_ = watching.end()
	_ = looking.end()
	_ = revoking.end()
	probing.stop()
	if failed {
		// Nothing that clients or upstreams say can be written down any more. Waiting for
		// them would only make more of what has to be done again.
		delivering.stop()
		administering.stop()
		sweeping.stop()
		return errors.Join(p.store.Err(), p.door.Close())
	}
	p.log.Info("stopping")
	err := errors.Join(p.drain(submitting), delivering.end(), probing.end(), sweeping.end(), p.store.Close(), administering.end())
	if err == nil {
		p.log.Info("stopped")
	}
	return err
}

// sweepInterval is how often dead letters and open sessions are looked through.
const sweepInterval = time.Minute

// sweep removes dead letters whose time is over, or for which there is no room.
func (p *parts) sweep(ctx context.Context) error {
	return every(ctx, sweepInterval, func() {
		if err := p.store.Sweep(ctx); err != nil && ctx.Err() == nil {
			p.log.Error("cannot remove old dead letters, trying again", "error", err)
		}
	})
}

// endRevoked ends the sessions of passwords, tokens and certificates whose time is over. That does
// not wait for dead letters, which may be many.
func (p *parts) endRevoked(ctx context.Context) error {
	return every(ctx, sweepInterval, p.server.EndRevoked)
}

// every does something at once, and then in each interval, until ctx is done.
func every(ctx context.Context, interval time.Duration, do func()) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// submit serves the clients that the front door lets in.
func (p *parts) submit(context.Context) error {
	err := p.server.Serve(p.door)
	if errors.Is(err, net.ErrClosed) || errors.Is(err, smtp.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve submission: %w", err)
}

// drain lets clients finish the message they are sending and takes no new ones.
func (p *parts) drain(submitting *task) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := p.door.Drain(ctx); err != nil {
		p.log.Warn("clients did not finish in time and are cut off", "error", err)
	}
	err := p.door.Close()
	<-submitting.done
	return errors.Join(err, submitting.err)
}

func text(a net.Addr) string {
	if a == nil {
		return config.Off
	}
	return a.String()
}
