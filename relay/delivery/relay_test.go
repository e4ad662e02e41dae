package delivery

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// testUpstream is a transport that answers from a function. A zero one takes all mail.
type testUpstream struct {
	// answer gives the verdict on one recipient, or on all of them when it concerns the
	// upstream. n counts the transactions, from 1.
	answer func(n int, recipient string) *Error
	// tells means that it offers DSN.
	tells bool
	// block holds transactions up until it is closed or the context is done.
	block chan struct{}
	// warm tells of no MAIL that was accepted, as connections do that had one before.
	warm atomic.Bool

	mu       sync.Mutex
	messages []message
	bodies   []string
	running  int
	peak     int
	closed   int
}

func (u *testUpstream) deliver(ctx context.Context, m message, welcomed func()) []verdict {
	content, err := m.open()
	if err != nil {
		return unanimous(len(m.recipients), localFailure(err))
	}
	body, _ := io.ReadAll(content)
	_ = content.Close()
	n := u.enter(m, string(body))
	defer u.leave()
	verdicts := make([]verdict, len(m.recipients))
	for i, recipient := range m.recipients {
		if u.answer != nil {
			verdicts[i].err = u.answer(n, recipient)
		}
		if verdicts[i].err != nil && verdicts[i].err.concernsUpstream() {
			return unanimous(len(m.recipients), verdicts[i].err)
		}
		verdicts[i].reply, verdicts[i].tells = "250 2.0.0 queued", u.tells
	}
	if !u.warm.Load() && find(verdicts, func(e *Error) bool { return e.Step == StepMAIL }) == nil {
		welcomed()
	}
	if u.block != nil {
		select {
		case <-u.block:
		case <-ctx.Done():
			return unanimous(len(m.recipients), lost(StepEndOfData, ctx.Err()))
		}
	}
	return verdicts
}

func (u *testUpstream) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed++
}

func (u *testUpstream) enter(m message, body string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.messages = append(u.messages, m)
	u.bodies = append(u.bodies, body)
	u.running++
	u.peak = max(u.peak, u.running)
	return len(u.messages)
}

func (u *testUpstream) leave() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.running--
}

func (u *testUpstream) closedTimes() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.closed
}

// transactions is how many there were.
func (u *testUpstream) transactions() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.messages)
}

// recipients of transaction n, from 1.
func (u *testUpstream) recipients(n int) []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.messages[n-1].recipients)
}

// brokenSpool is a spool with switchable faults.
type brokenSpool struct {
	spool.Spool
	mu                     sync.Mutex
	create, update, remove error
	// createMail is that of Spool.Create.
	createMail error
	// each is an error of Spool.Each.
	each error
	// open replaces Spool.Open.
	open func(id string) (io.ReadCloser, error)
}

func (b *brokenSpool) set(create, update, remove error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.create, b.update, b.remove = create, update, remove
}

func (b *brokenSpool) faults() (create, update, remove error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.create, b.update, b.remove
}

func (b *brokenSpool) failCreate(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.createMail = err
}

func (b *brokenSpool) Create(ctx context.Context) (spool.Draft, error) {
	b.mu.Lock()
	err := b.createMail
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return b.Spool.Create(ctx)
}

func (b *brokenSpool) CreateOutcome(ctx context.Context) (spool.Draft, error) {
	if err, _, _ := b.faults(); err != nil {
		return nil, err
	}
	return b.Spool.CreateOutcome(ctx)
}

func (b *brokenSpool) Each(f func(*spool.Envelope) error) error {
	b.mu.Lock()
	err := b.each
	b.mu.Unlock()
	if err != nil {
		return err
	}
	return b.Spool.Each(f)
}

func (b *brokenSpool) Open(id string) (io.ReadCloser, error) {
	if b.open != nil {
		return b.open(id)
	}
	return b.Spool.Open(id)
}

func (b *brokenSpool) Update(ctx context.Context, envelopes ...*spool.Envelope) error {
	if _, err, _ := b.faults(); err != nil {
		return err
	}
	return b.Spool.Update(ctx, envelopes...)
}

func (b *brokenSpool) Quarantine(ctx context.Context, envelope *spool.Envelope) error {
	if _, err, _ := b.faults(); err != nil {
		return err
	}
	return b.Spool.Quarantine(ctx, envelope)
}

func (b *brokenSpool) Remove(ctx context.Context, ids ...string) error {
	if _, _, err := b.faults(); err != nil {
		return err
	}
	return b.Spool.Remove(ctx, ids...)
}

// syncBuffer is a buffer for a logger.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// testRelay is a spool in memory and a scheduler on a clock that is moved by hand.
type testRelay struct {
	*testing.T
	clock     *fakeClock
	disk      *vfs.MemFS
	store     *brokenSpool
	scheduler *Scheduler
	upstreams map[string]*testUpstream
	snapshot  *config.Snapshot
	registry  *prometheus.Registry
	logs      *syncBuffer
	stop      context.CancelFunc
	stopped   chan error
}

// lowSpace is where the disk of a testRelay is low.
const lowSpace = 64 << 10

// newTestRelay makes a relay that is not running, with the upstreams "first" and "second".
func newTestRelay(t *testing.T, change ...func(*config.Config)) *testRelay {
	t.Helper()
	r := &testRelay{
		T:         t,
		clock:     newFakeClock(),
		disk:      vfs.NewMem(),
		upstreams: map[string]*testUpstream{"first": {}, "second": {}},
		registry:  prometheus.NewRegistry(),
		logs:      new(syncBuffer),
	}
	if err := r.disk.MkdirAll("spool", 0o700); err != nil {
		t.Fatal(err)
	}
	r.disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 30, TotalBytes: 1 << 30})
	store, err := spool.Open(spool.Options{
		Directory: "spool", FS: r.disk, Now: r.clock.Now, Logger: quietLogger(), LowSpace: lowSpace,
		OnCommit: func(e *spool.Envelope) { r.scheduler.Enqueue(e) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r.store = &brokenSpool{Spool: store}
	c := &config.Config{
		Hostname: "relay.test",
		Queue:    config.Queue{Lifetime: 5 * 24 * time.Hour, RetryInitial: time.Minute, RetryMax: 30 * time.Minute},
	}
	for _, f := range change {
		f(c)
	}
	r.snapshot = &config.Snapshot{Config: c, Upstreams: []config.ResolvedUpstream{r.upstream("first")}}
	r.scheduler = r.newScheduler()
	return r
}

func (r *testRelay) upstream(name string) config.ResolvedUpstream {
	return config.ResolvedUpstream{Upstream: config.Upstream{
		Name: name, Host: name + ".test", Port: 465, TLS: config.TLSImplicit,
		Limits: config.UpstreamLimits{Connections: 8, MessagesPerConnection: 100, RecipientsPerMessage: 100},
	}}
}

func (r *testRelay) newScheduler() *Scheduler {
	options := Options{
		Spool: r.store, Snapshot: r.snapshot, Clock: r.clock, Registerer: r.registry,
		Timeouts: shortTimeouts(),
		Rand:     func() float64 { return 0.5 },
		Logger:   slog.New(slog.NewJSONHandler(r.logs, nil)),
	}
	if r.upstreams != nil {
		options.transport = func(u config.ResolvedUpstream, _ prometheus.Gauge) transport {
			return r.upstreams[u.Name]
		}
	}
	return New(options)
}

// restart replaces the scheduler by one that knows only what is in the spool.
func (r *testRelay) restart() {
	m, options := r.scheduler.metrics, r.scheduler.options
	own := []prometheus.Collector{m.deliveries, m.errors, m.duration, m.connections, m.held, m.paced, m.notifications}
	for _, c := range append(own, spoolMetrics(options)...) {
		r.registry.Unregister(c)
	}
	r.scheduler = r.newScheduler()
}

func (r *testRelay) first() *testUpstream { return r.upstreams["first"] }

// run starts the scheduler; the test's end stops it.
func (r *testRelay) run() {
	r.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r.stop, r.stopped = cancel, make(chan error, 1)
	scheduler, stopped := r.scheduler, r.stopped
	go func() { stopped <- scheduler.Run(ctx) }()
	eventually(r.T, "the scheduler runs", func() bool {
		scheduler.mu.Lock()
		defer scheduler.mu.Unlock()
		return scheduler.running
	})
	r.Cleanup(r.halt)
}

// halt stops the scheduler and waits for it.
func (r *testRelay) halt() {
	r.Helper()
	r.stop()
	select {
	case err := <-r.stopped:
		if err != nil {
			r.Error(err)
		}
		r.stopped <- nil
	case <-time.After(5 * time.Second):
		r.Fatal("the scheduler does not stop")
	}
}

// submit puts a message into the spool and returns its queue id.
func (r *testRelay) submit(from string, to ...string) string {
	r.Helper()
	return r.submitAs("app", from, to...)
}

func (r *testRelay) submitAs(user, from string, to ...string) string {
	r.Helper()
	draft, err := r.store.Spool.Create(context.Background())
	if err != nil {
		r.Fatal(err)
	}
	if _, err := io.WriteString(draft, greeting); err != nil {
		r.Fatal(err)
	}
	envelope := &spool.Envelope{Accepted: r.clock.Now(), User: user, ReversePath: from, MessageID: "<1@app.test>"}
	for _, address := range to {
		envelope.Recipients = append(envelope.Recipients, spool.Recipient{Address: address})
	}
	if err := draft.Commit(context.Background(), envelope); err != nil {
		r.Fatal(err)
	}
	return draft.ID()
}

// queued are the messages of the spool.
func (r *testRelay) queued() int { return int(r.store.Stats().Messages) }

// gone waits until the queue is empty and nothing is under way.
func (r *testRelay) gone() {
	r.Helper()
	eventually(r.T, "an empty queue", func() bool { return r.queued() == 0 && r.idle() && len(r.entries()) == 0 })
}

// rest waits until no attempt is under way.
func (r *testRelay) rest() {
	r.Helper()
	eventually(r.T, "no attempt under way", r.idle)
}

func (r *testRelay) idle() bool {
	r.scheduler.mu.Lock()
	defer r.scheduler.mu.Unlock()
	if len(r.scheduler.delays.writing) > 0 {
		return false
	}
	for _, u := range r.scheduler.upstreams {
		if u.active+u.recording > 0 {
			return false
		}
	}
	if next, _ := r.scheduler.nextReady(r.clock.Now()); next != nil {
		return false
	}
	top := r.scheduler.waiting.top()
	return top == nil || top.due > r.clock.Now().UnixNano()
}

func (r *testRelay) entries() map[string]*entry {
	r.scheduler.mu.Lock()
	defer r.scheduler.mu.Unlock()
	known := make(map[string]*entry)
	for id, e := range r.scheduler.known {
		known[id] = e
	}
	return known
}

// envelope reads a message's envelope from the spool.
func (r *testRelay) envelope(id string) *spool.Envelope {
	r.Helper()
	e, err := r.store.Envelope(id)
	if err != nil {
		r.Fatal(err)
	}
	return e
}

// counted is the value of a metric with the given label values.
func (r *testRelay) counted(name string, labels ...string) float64 {
	r.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			var values []string
			for _, label := range metric.GetLabel() {
				values = append(values, label.GetValue())
			}
			if !slices.Equal(values, labels) {
				continue
			}
			return metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return 0
}

// bounces are the notifications that an upstream got.
func (u *testUpstream) bounces() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	var bodies []string
	for _, body := range u.bodies {
		if strings.Contains(body, "multipart/report") {
			bodies = append(bodies, body)
		}
	}
	return bodies
}

// Errors of upstreams.
var (
	errDown    = lost(StepConnect, io.ErrUnexpectedEOF)
	errLogin   = &Error{Class: ClassAuthentication, Step: StepAUTH, Code: 535, Enhanced: "5.7.8", Text: "no", Temporary: true}
	errBusy    = &Error{Class: ClassThrottle, Step: StepMAIL, Code: 451, Enhanced: "4.3.0", Text: "not now", Temporary: true}
	errGrey    = &Error{Class: ClassRecipient, Step: StepRCPT, Code: 450, Enhanced: "4.2.0", Text: "greylisted", Temporary: true}
	errTooMany = &Error{Class: ClassRecipient, Step: StepRCPT, Code: 452, Enhanced: "4.5.3", Text: "too many", Temporary: true}
	errUnknown = &Error{Class: ClassRecipient, Step: StepRCPT, Code: 550, Enhanced: "5.1.1", Text: "no such user"}
)

// always answers everything with one error.
func always(e *Error) func(int, string) *Error {
	return func(int, string) *Error { return e }
}

// firstly answers the first n transactions with an error.
func firstly(n int, e *Error) func(int, string) *Error {
	return func(i int, _ string) *Error {
		if i <= n {
			return e
		}
		return nil
	}
}
