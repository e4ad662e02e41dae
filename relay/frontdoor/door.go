package frontdoor

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Door takes connections on both services and hands them over when they are encrypted.
// It is a net.Listener: each connection that Accept returns is a *Conn.
type Door struct {
	options Options
	tls     *tls.Config
	census  *census
	metrics *metrics
	// uncounted are metrics that nobody reads.
	uncounted *metrics

	// ready passes connections to Accept; it has no buffer, so that none is forgotten.
	ready  chan *Conn
	closed chan struct{}
	// open counts the accept loops and every connection until its socket is closed.
	open sync.WaitGroup

	mu       sync.Mutex // guards what follows
	visitors map[net.Conn]struct{}
	conns    map[*Conn]struct{}
}

var _ net.Listener = (*Door)(nil)

// New opens a door at the listeners of o and starts to take connections. The listeners
// belong to the Door from then on.
func New(o Options) (*Door, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	uncounted, err := newMetrics(nil)
	if err != nil {
		return nil, err
	}
	d := &Door{
		options:   o,
		tls:       tlsConfig(o),
		census:    newCensus(o.Limits),
		metrics:   m,
		uncounted: uncounted,
		ready:     make(chan *Conn),
		closed:    make(chan struct{}),
		visitors:  make(map[net.Conn]struct{}),
		conns:     make(map[*Conn]struct{}),
	}
	for service, listener := range d.listeners() {
		m.show(service)
		d.open.Add(1)
		go d.take(listener, service)
	}
	return d, nil
}

func (d *Door) listeners() map[Service]net.Listener {
	all := map[Service]net.Listener{}
	if d.options.Submissions != nil {
		all[Submissions] = d.options.Submissions
	}
	if d.options.Submission != nil {
		all[Submission] = d.options.Submission
	}
	return all
}

// Accept returns the next encrypted connection, always a *Conn. After Close it returns
// net.ErrClosed.
func (d *Door) Accept() (net.Conn, error) {
	select {
	case c := <-d.ready:
		return c, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

// Addr is the address of port 465, or of port 587 where that is the only one.
func (d *Door) Addr() net.Addr {
	if d.options.Submissions != nil {
		return d.options.Submissions.Addr()
	}
	return d.options.Submission.Addr()
}

// Close stops to take connections and ends those that are open, with 421 4.3.2 wherever
// they are. It does not wait for that.
func (d *Door) Close() error {
	err := d.shutListeners()
	d.each(func(c *Conn) { c.Abort(replyDraining) })
	return err
}

// shutListeners stops to take connections and drops those that are not encrypted yet.
func (d *Door) shutListeners() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut() {
		return nil
	}
	close(d.closed)
	for raw := range d.visitors {
		raw.Close()
	}
	var err error
	for _, l := range d.listeners() {
		if e := l.Close(); e != nil && err == nil {
			err = e
		}
	}
	return err
}

// Drain closes the Door and ends every session: with 421 4.3.2 as soon as it is between
// transactions, and in any case when ctx is done. It returns when all connections are
// closed, with the error of ctx if some had to be cut.
func (d *Door) Drain(ctx context.Context) error {
	if err := d.shutListeners(); err != nil {
		return fmt.Errorf("close listeners: %w", err)
	}
	d.each((*Conn).drain)
	empty := make(chan struct{})
	go func() {
		d.open.Wait()
		close(empty)
	}()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		d.each(func(c *Conn) { c.Abort(replyDraining) })
		<-empty
		return ctx.Err()
	}
}

// shut tells whether the Door takes no more connections.
func (d *Door) shut() bool {
	select {
	case <-d.closed:
		return true
	default:
		return false
	}
}

func (d *Door) each(do func(*Conn)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		do(c)
	}
}

// take accepts connections until the listener is closed. Each is brought to TLS in a
// goroutine of its own, so that a slow client keeps nobody waiting.
func (d *Door) take(l net.Listener, s Service) {
	defer d.open.Done()
	for {
		raw, err := l.Accept()
		if err != nil {
			if d.pause(err) {
				continue
			}
			return
		}
		v := d.visitOf(raw, s)
		v.metrics.accepted.WithLabelValues(string(s)).Inc()
		if d.enter(v) {
			go d.receive(v)
		}
	}
}

// pause waits a little after an error of a listener, most often too many open files, and
// tells whether to go on.
func (d *Door) pause(err error) bool {
	if d.shut() {
		return false
	}
	d.options.Logger.Error("cannot take a connection, trying again", "error", err)
	select {
	case <-d.closed:
		return false
	case <-time.After(100 * time.Millisecond):
		return true
	}
}

func (d *Door) visitOf(raw net.Conn, s Service) *visit {
	m := d.metrics
	if d.options.Own != nil && d.options.Own(raw.RemoteAddr()) {
		m = d.uncounted
	}
	return &visit{
		raw: raw, service: s, options: &d.options, metrics: m,
		log: d.options.Logger.With("service", string(s), "client", raw.RemoteAddr().String()),
	}
}

// enter admits a connection, or refuses it in plaintext where that is understood.
func (d *Door) enter(v *visit) bool {
	raw, s := v.raw, v.service
	if why := d.census.admit(clientAddr(raw.RemoteAddr())); why != admitted {
		v.metrics.refused.WithLabelValues(string(s), string(why)).Inc()
		if s == Submission {
			raw.SetWriteDeadline(time.Now().Add(d.options.Timeouts.Close))
			_, _ = io.WriteString(raw, "421 4.7.0 "+d.options.Hostname+" too many connections, try again later\r\n")
		}
		raw.Close()
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open.Add(1)
	v.metrics.current.WithLabelValues(string(s)).Inc()
	d.visitors[raw] = struct{}{}
	if d.shut() {
		raw.Close()
	}
	return true
}

// left undoes enter.
func (d *Door) left(v *visit) {
	d.census.release(clientAddr(v.raw.RemoteAddr()))
	v.metrics.current.WithLabelValues(string(v.service)).Dec()
	d.open.Done()
}

// receive encrypts a connection and hands it over.
func (d *Door) receive(v *visit) {
	t := v.encrypt(d.tls)
	d.mu.Lock()
	delete(d.visitors, v.raw)
	d.mu.Unlock()
	if t == nil {
		d.left(v)
		return
	}
	c, err := d.seat(t, v)
	if err != nil {
		v.log.Info("connection lost before it was handed over", "error", err)
		v.raw.Close()
		d.left(v)
		return
	}
	select {
	case d.ready <- c:
	case <-d.closed:
		c.Abort(replyDraining)
	}
}

// seat makes the Conn and keeps it where Drain finds it. One that comes too late for that
// drains from the start.
func (d *Door) seat(t *tls.Conn, v *visit) (*Conn, error) {
	var c *Conn
	c, err := newConn(t, v.service, &d.options, func() {
		d.mu.Lock()
		delete(d.conns, c)
		d.mu.Unlock()
		d.left(v)
	})
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns[c] = struct{}{}
	if d.shut() {
		c.drain()
	}
	return c, nil
}
