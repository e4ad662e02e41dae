package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/test/traffic"
)

// The commands by which this program runs itself.
const (
	clientsCommand = "clients"
	sinkCommand    = "sink"
)

// submission is what the clients are told on standard input.
type submission struct {
	Address, ServerName, User, Password string
	// CA is the certificate to trust, in PEM.
	CA string
	// Resume lets connections resume the TLS sessions of earlier ones.
	Resume, Pipelining               bool
	Connections, PerConnection, Size int
	Duration                         time.Duration
}

// submitted is what the clients tell on standard output.
type submitted struct {
	Accepted     int
	Began, Ended time.Time
	Median, P99  time.Duration
	CPU          time.Duration
	Error        string
}

// serveClients runs one load.
func serveClients() error {
	var s submission
	if err := json.NewDecoder(os.Stdin).Decode(&s); err != nil {
		return fmt.Errorf("read the load: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(s.CA))
	config := &tls.Config{
		RootCAs: roots, ServerName: s.ServerName, MinVersion: tls.VersionTLS12,
		// Whole records from the start, as clients with OpenSSL send them.
		DynamicRecordSizingDisabled: true,
		// The key exchange that both servers know: the OpenSSL of Debian 12 has no other that
		// Go prefers.
		CurvePreferences: []tls.CurveID{tls.X25519},
	}
	if s.Resume {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(s.Connections)
	}
	load := traffic.Load{
		Target:      traffic.Target{Address: s.Address, TLS: config, User: s.User, Password: s.Password, Pipelining: s.Pipelining},
		Connections: s.Connections, PerConnection: s.PerConnection, Size: s.Size, Duration: s.Duration,
	}
	result, err := load.Run(context.Background())
	out := submitted{Accepted: result.Accepted, Began: result.Began, Ended: result.Ended, CPU: ownCPU()}
	if err != nil {
		out.Error = err.Error()
	}
	if n := len(result.Times); n > 0 {
		slices.Sort(result.Times)
		out.Median, out.P99 = result.Times[n/2], result.Times[n*99/100]
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// runClients runs a load in a process of its own.
func runClients(ctx context.Context, s submission) (submitted, error) {
	var out submitted
	input, err := json.Marshal(s)
	if err != nil {
		return out, err
	}
	cmd, err := self(ctx, clientsCommand)
	if err != nil {
		return out, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return out, err
	}
	go func() { _, _ = in.Write(input); in.Close() }()
	text, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("clients: %w", err)
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return out, fmt.Errorf("clients: %w", err)
	}
	if out.Error != "" {
		return out, fmt.Errorf("clients: %s", out.Error)
	}
	return out, nil
}

func self(ctx context.Context, command string) (*exec.Cmd, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, command)
	cmd.Stderr = os.Stderr
	return cmd, nil
}

// ownCPU is the CPU time of this process so far.
func ownCPU() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// sinkSettings is what the sink is told first; certificate and key are in PEM, and empty for
// plaintext.
type sinkSettings struct{ Certificate, Key string }

// arrived is what the sink tells whenever it is asked.
type arrived struct {
	Address  string
	Messages int
	// Last is when the last message came.
	Last time.Time
	CPU  time.Duration
}

// serveSink takes mail, and answers each line of standard input with what came so far.
func serveSink() error {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	var settings sinkSettings
	if err := json.Unmarshal(line, &settings); err != nil {
		return err
	}
	var messages, last atomic.Int64
	sink := &traffic.Sink{Message: func([]byte) string {
		messages.Add(1)
		last.Store(time.Now().UnixNano())
		return ""
	}}
	if settings.Certificate != "" {
		pair, err := tls.X509KeyPair([]byte(settings.Certificate), []byte(settings.Key))
		if err != nil {
			return err
		}
		sink.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	sink.Serve(l)
	defer sink.Close()
	for {
		report := arrived{
			Address: l.Addr().String(), Messages: int(messages.Load()), Last: time.Unix(0, last.Load()), CPU: ownCPU(),
		}
		if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
			return err
		}
		if _, err := in.ReadBytes('\n'); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// sinkProcess is a sink that runs in a process of its own.
type sinkProcess struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
	address string
}

func startSink(ctx context.Context, settings sinkSettings) (*sinkProcess, error) {
	cmd, err := self(ctx, sinkCommand)
	if err != nil {
		return nil, err
	}
	s := &sinkProcess{cmd: cmd}
	if s.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = json.NewDecoder(out)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	first, err := s.ask(settings)
	s.address = first.Address
	return s, err
}

func (s *sinkProcess) ask(question any) (arrived, error) {
	var report arrived
	if err := json.NewEncoder(s.in).Encode(question); err != nil {
		return report, fmt.Errorf("ask the sink: %w", err)
	}
	if err := s.out.Decode(&report); err != nil {
		return report, fmt.Errorf("the sink's answer: %w", err)
	}
	return report, nil
}

func (s *sinkProcess) stop() {
	s.in.Close()
	_ = s.cmd.Wait()
}
