package frontdoor

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// Service is which of the two ports a client came in by.
type Service string

// The two services of RFC 8314 §7.3 and RFC 6409.
const (
	// Submissions is implicit TLS, port 465.
	Submissions Service = "submissions"
	// Submission is STARTTLS, port 587.
	Submission Service = "submission"
)

// Door is a net.Listener whose connections are encrypted *Conns of both ports.
type Door struct {
	options Options
	tls     *tls.Config
	census  *census
	metrics *metrics

	ready    chan net.Conn
	closed   chan struct{}
	close    sync.Once
	draining chan struct{}
	drain    sync.Once

	mu    sync.Mutex
	conns map[*Conn]struct{}
}

var _ net.Listener = (*Door)(nil)

// New opens the door: it takes connections from the listeners of the options at once.
func New(options Options) (*Door, error) {
	if err := options.complete(); err != nil {
		return nil, err
	}
	d := &Door{
		options:  options,
		tls:      tlsConfig(options),
		census:   newCensus(options.Limits),
		metrics:  newMetrics(options.Registerer),
		ready:    make(chan net.Conn),
		closed:   make(chan struct{}),
		draining: make(chan struct{}),
		conns:    map[*Conn]struct{}{},
	}
	if options.Submissions != nil {
		go d.serve(options.Submissions, Submissions, d.enterSubmissions)
	}
	if options.Submission != nil {
		go d.serve(options.Submission, Submission, d.enterSubmission)
	}
	return d, nil
}

// Accept returns the next encrypted connection, a *Conn, or net.ErrClosed.
func (d *Door) Accept() (net.Conn, error) {
	select {
	case conn := <-d.ready:
		return conn, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

// Addr is the address of the first listener that is on.
func (d *Door) Addr() net.Addr {
	if d.options.Submissions != nil {
		return d.options.Submissions.Addr()
	}
	return d.options.Submission.Addr()
}

// Close takes no more connections and ends those that are open.
func (d *Door) Close() error {
	d.close.Do(func() {
		d.closeListeners()
		close(d.closed)
	})
	for _, conn := range d.open() {
		conn.Close()
	}
	return nil
}

// Drain takes no more connections, answers 421 (RFC 5321 §3.8) to each client that is
// between two messages, and waits for the others to finish theirs, until ctx ends.
func (d *Door) Drain(ctx context.Context) error {
	d.drain.Do(func() {
		d.closeListeners()
		close(d.draining)
	})
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		conns := d.open()
		if len(conns) == 0 {
			return nil
		}
		for _, conn := range conns {
			conn.drain()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-poll.C:
		}
	}
}

func (d *Door) closeListeners() {
	for _, l := range []net.Listener{d.options.Submissions, d.options.Submission} {
		if l != nil {
			l.Close()
		}
	}
}

func (d *Door) open() []*Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	conns := make([]*Conn, 0, len(d.conns))
	for conn := range d.conns {
		conns = append(conns, conn)
	}
	return conns
}

func (d *Door) isDraining() bool {
	select {
	case <-d.draining:
		return true
	default:
		return false
	}
}
