package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/test/stand"
	"github.com/mailrelay-dev/mailrelay-operator/test/traffic"
)

// load is what the clients do in a round.
type load struct {
	name                string
	what                string
	size, perConnection int
}

var loads = []load{
	{"kept_4k", "4 KiB, 100 messages a connection", 4 << 10, 100},
	{"new_4k", "4 KiB, a connection and login for each message", 4 << 10, 1},
	{"kept_100k", "100 KiB, 100 messages a connection", 100 << 10, 100},
}

// peer is one of the two servers.
type peer struct {
	name       string
	serverName string
	target     traffic.Target
	pid        int
}

// rig is all that runs during a comparison.
type rig struct {
	options
	ca    *traffic.Authority
	sink  *sinkProcess
	peers []peer
	stops []func()
}

// compare runs all rounds and prints what came out.
func compare(ctx context.Context, o options) error {
	directory, err := os.MkdirTemp(o.directory, "mailrelay-bench-")
	if err != nil {
		return err
	}
	if !o.keep {
		defer os.RemoveAll(directory)
	}
	if err := checkDisk(directory); err != nil {
		return err
	}
	r := &rig{options: o}
	defer r.stop()
	if err := r.start(ctx, directory); err != nil {
		return err
	}
	results := newResults(o)
	for _, l := range loads {
		if o.only != "" && o.only != l.name {
			continue
		}
		if err := r.rounds(ctx, l, results); err != nil {
			return err
		}
	}
	results.print(os.Stdout)
	return nil
}

// checkDisk makes the directory readable for Postfix, and refuses memory for a disk.
func checkDisk(directory string) error {
	const tmpfs = 0x01021994
	var fs syscall.Statfs_t
	if err := syscall.Statfs(directory, &fs); err != nil {
		return err
	}
	if fs.Type == tmpfs {
		return fmt.Errorf("%s is in memory: name a directory on a disk by -directory", directory)
	}
	return os.Chmod(directory, 0o755)
}

// start brings up the sink and both servers.
func (r *rig) start(ctx context.Context, directory string) (err error) {
	if r.ca, err = traffic.NewAuthority(); err != nil {
		return err
	}
	if r.sink, err = r.startSink(ctx); err != nil {
		return err
	}
	r.stops = append(r.stops, r.sink.stop)

	relayDirectory := filepath.Join(directory, "relay")
	if err := os.Mkdir(relayDirectory, 0o700); err != nil {
		return err
	}
	s, err := stand.New(stand.Options{
		Directory: relayDirectory, Program: r.relay, Authority: r.ca, Sink: r.sink.address, Plaintext: r.plaintext,
		// Postfix may use as many and more, and keeps them longer.
		Change: func(c *config.Config) {
			c.Upstreams[0].Limits.Connections, c.Upstreams[0].Limits.MessagesPerConnection = 20, 1000
		},
	})
	if err != nil {
		return err
	}
	// Not where the relay watches its files.
	log, err := os.Create(filepath.Join(directory, "relay.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.Log = log
	relay, err := s.Start(ctx)
	if err != nil {
		return err
	}
	r.stops = append(r.stops, func() { _ = relay.Stop() })

	target := s.Target
	target.User += "@" + postfixName
	p, err := newPostfix(ctx, filepath.Join(directory, "postfix"), r.ca, target, r.sink.address, r.plaintext)
	if err != nil {
		return err
	}
	r.stops = append(r.stops, p.stop)
	if err := p.start(ctx); err != nil {
		return err
	}
	r.peers = []peer{{"relay", stand.Hostname, s.Target, relay.PID()}, {"postfix", postfixName, p.target, p.pid()}}
	return nil
}

func (r *rig) startSink(ctx context.Context) (*sinkProcess, error) {
	if r.plaintext {
		return startSink(ctx, sinkSettings{})
	}
	certificate, err := r.ca.Server("sink.test")
	if err != nil {
		return nil, err
	}
	key, err := traffic.KeyPEM(certificate)
	if err != nil {
		return nil, err
	}
	return startSink(ctx, sinkSettings{Certificate: string(traffic.CertificatePEM(certificate.Leaf)), Key: string(key)})
}

func (r *rig) stop() {
	for i := len(r.stops) - 1; i >= 0; i-- {
		r.stops[i]()
	}
}

// rounds gives both servers a load in turns, after a short one that counts for nothing.
func (r *rig) rounds(ctx context.Context, l load, results *results) error {
	for round := range r.options.rounds + 1 {
		duration := r.duration
		if round == 0 {
			duration = time.Second
		}
		for _, p := range r.peers {
			if r.server != "" && r.server != p.name {
				continue
			}
			m, err := r.round(ctx, p, l, duration)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", l.name, p.name, err)
			}
			if round > 0 {
				results.add(l, p.name, m)
			}
		}
	}
	return nil
}

const (
	// sampling is how often memory is looked at.
	sampling = 500 * time.Millisecond
	// draining is how long the sink may wait for the last message.
	draining = 2 * time.Minute
	// resting is for how long a server must do nothing until its round is over.
	resting = 300 * time.Millisecond
)

// round gives one load to a server, and waits until it has passed all of it on and is at rest.
func (r *rig) round(ctx context.Context, p peer, l load, duration time.Duration) (measured, error) {
	var m measured
	before, err := stand.UsageOf(p.pid)
	if err != nil {
		return m, err
	}
	there, err := r.sink.ask("")
	if err != nil {
		return m, err
	}
	watch := watchMemory(p.pid)
	sent, err := runClients(ctx, submission{
		Address: p.target.Address, ServerName: p.serverName, User: p.target.User, Password: p.target.Password,
		CA: string(r.ca.PEM()), Resume: !r.cold, Pipelining: r.pipelining,
		Connections: r.connections, PerConnection: l.perConnection, Size: l.size, Duration: duration,
	})
	if err != nil {
		watch()
		return m, err
	}
	came, err := r.await(ctx, there.Messages+sent.Accepted)
	memory := watch()
	if err != nil {
		return m, err
	}
	after, err := rest(ctx, p.pid)
	if err != nil {
		return m, err
	}
	n := float64(sent.Accepted)
	perTenThousand := func(cpu time.Duration) float64 { return cpu.Seconds() * 10_000 / n }
	return measured{
		accept:   n / sent.Ended.Sub(sent.Began).Seconds(),
		endToEnd: n / came.Last.Sub(sent.Began).Seconds(),
		median:   sent.Median.Seconds() * 1000,
		p99:      sent.P99.Seconds() * 1000,
		cpu:      perTenThousand(after.CPU - before.CPU),
		memory:   float64(memory) / (1 << 20),
		clients:  perTenThousand(sent.CPU),
		sink:     perTenThousand(came.CPU - there.CPU),
	}, nil
}

// await waits until the sink has so many messages.
func (r *rig) await(ctx context.Context, messages int) (arrived, error) {
	for end := time.Now().Add(draining); ; time.Sleep(20 * time.Millisecond) {
		came, err := r.sink.ask("")
		switch {
		case err != nil:
			return came, err
		case came.Messages == messages:
			return came, nil
		case came.Messages > messages:
			return came, fmt.Errorf("%d messages arrived and %d were accepted", came.Messages, messages)
		case time.Now().After(end) || ctx.Err() != nil:
			return came, errors.Join(fmt.Errorf("%d messages of %d did not arrive", messages-came.Messages, messages), ctx.Err())
		}
	}
}

// watchMemory looks at the memory of a server until it is called, and returns the most it saw.
func watchMemory(pid int) (stop func() int64) {
	over, most := make(chan struct{}), make(chan int64)
	go func() {
		peak := int64(0)
		for {
			if u, err := stand.UsageOf(pid); err == nil {
				peak = max(peak, u.Memory)
			}
			select {
			case <-over:
				most <- peak
				return
			case <-time.After(sampling):
			}
		}
	}()
	return func() int64 { close(over); return <-most }
}

// rest waits until a server has nothing more to do, such as compacting its queue: that is part
// of the price of its messages, and must not disturb the round of the other one.
func rest(ctx context.Context, pid int) (stand.Usage, error) {
	before, err := stand.UsageOf(pid)
	for range 20 {
		if err != nil || ctx.Err() != nil {
			break
		}
		time.Sleep(resting)
		var now stand.Usage
		if now, err = stand.UsageOf(pid); now.CPU-before.CPU <= 10*time.Millisecond {
			return now, err
		}
		before = now
	}
	return before, errors.Join(err, ctx.Err())
}
