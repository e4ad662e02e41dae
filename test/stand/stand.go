// Package stand runs the relay's program between the clients and the sink of package traffic:
// it makes the directory with all that the relay reads, starts it, kills it and starts it again.
package stand

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/test/traffic"
)

// Hostname is the relay's name, and User who may log in.
const (
	Hostname = "relay.test"
	User     = "app.shop"
)

// startTimeout is how long a relay may take until it is ready.
const startTimeout = time.Minute

// Stand is a directory that a relay runs in.
type Stand struct {
	// Directory with relay.yaml, its files, and the spool.
	Directory string
	// Target is the relay's port with TLS from the first byte.
	Target traffic.Target
	// Program is the path of the relay's program.
	Program string
	// Environment is added to that of this process.
	Environment []string
	// Wrapper is a program to run the relay by, such as a tracer, with its arguments. It must
	// become the relay, and not start it as a process below.
	Wrapper []string
	// Log gets what the relay says; nothing does when nil.
	Log io.Writer

	probes, metrics string
}

// Options of a Stand.
type Options struct {
	// Directory to fill. It must exist.
	Directory string
	// Program is the path of the relay's program.
	Program string
	// Environment of the relay, besides that of this process.
	Environment []string
	// Authority signs the relay's certificate, and signed the sink's.
	Authority *traffic.Authority
	// Sink is the address of the upstream, and Plaintext tells that it has no TLS.
	Sink      string
	Plaintext bool
	// Change is applied to the configuration; may be nil.
	Change func(*config.Config)
}

// New fills a directory.
func New(o Options) (*Stand, error) {
	s := &Stand{Directory: o.Directory, Program: o.Program, Environment: o.Environment}
	c, err := s.config(o)
	if err != nil {
		return nil, err
	}
	if o.Change != nil {
		o.Change(c)
	}
	data, err := config.Marshal(c)
	if err != nil {
		return nil, err
	}
	password := rand.Text()
	users, err := userFile(password)
	if err != nil {
		return nil, err
	}
	certificate, err := o.Authority.Server(Hostname)
	if err != nil {
		return nil, err
	}
	key, err := traffic.KeyPEM(certificate)
	if err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{
		"relay.yaml": data, "users.yaml": users, "ca.crt": o.Authority.PEM(),
		"tls.crt": traffic.CertificatePEM(certificate.Leaf), "tls.key": key,
	} {
		if err := os.WriteFile(filepath.Join(o.Directory, name), content, 0o600); err != nil {
			return nil, err
		}
	}
	s.Target = traffic.Target{
		Address: c.Listeners.Submissions.Address, User: User, Password: password,
		TLS: &tls.Config{RootCAs: o.Authority.Pool(), ServerName: Hostname, MinVersion: tls.VersionTLS12},
	}
	s.probes, s.metrics = c.Admin.Probes, c.Admin.Metrics
	return s, os.MkdirAll(s.Spool(), 0o700)
}

// Spool is the directory of the queue.
func (s *Stand) Spool() string { return filepath.Join(s.Directory, "spool") }

func (s *Stand) config(o Options) (*config.Config, error) {
	sink, err := net.ResolveTCPAddr("tcp", o.Sink)
	if err != nil {
		return nil, err
	}
	ports, err := freeAddresses(3)
	if err != nil {
		return nil, err
	}
	upstream := config.Upstream{Name: "sink", Host: sink.IP.String(), Port: sink.Port, TLS: config.TLSImplicit, CAFile: "ca.crt"}
	if o.Plaintext {
		upstream.TLS, upstream.CAFile = config.TLSNone, ""
		upstream.PlaintextAcknowledgement = config.PlaintextAcknowledgement
	}
	return &config.Config{
		Version:  config.Version,
		Hostname: Hostname,
		Listeners: config.Listeners{
			Submissions: config.Listener{Address: ports[0]}, Submission: config.Listener{Disabled: true},
		},
		TLS:       config.TLS{Internal: config.KeyPair{CertFile: "tls.crt", KeyFile: "tls.key"}},
		Upstreams: []config.Upstream{upstream},
		Users:     config.Users{Files: []string{"users.yaml"}},
		Queue:     config.Queue{Directory: "spool"},
		Admin:     config.Admin{Probes: ports[1], Metrics: ports[2], Status: config.Off},
	}, nil
}

func userFile(password string) ([]byte, error) {
	verifier, err := config.NewVerifier(password)
	if err != nil {
		return nil, err
	}
	return config.MarshalUserFile(&config.UserFile{Version: config.Version, Users: []config.User{
		{Name: User, Passwords: []config.Verifier{verifier}, Senders: []string{"example.com"}},
	}})
}

// freeAddresses are loopback addresses that nobody listened on a moment ago.
func freeAddresses(n int) ([]string, error) {
	var addresses []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}

// Relay is a process of the relay.
type Relay struct {
	*Stand
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Start starts the relay and waits until it takes mail.
func (s *Stand) Start(ctx context.Context) (*Relay, error) {
	r, err := s.Launch()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := r.Ready(ctx); err != nil {
		r.Kill()
		return nil, err
	}
	return r, nil
}

// Launch starts the relay and does not wait.
func (s *Stand) Launch() (*Relay, error) {
	line := append(append([]string(nil), s.Wrapper...), s.Program, "serve", "--config", filepath.Join(s.Directory, "relay.yaml"))
	r := &Relay{Stand: s, cmd: exec.CommandContext(context.Background(), line[0], line[1:]...), done: make(chan struct{})}
	r.cmd.Env = append(r.cmd.Environ(), s.Environment...)
	r.cmd.Stderr = s.Log
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the relay: %w", err)
	}
	go func() {
		defer close(r.done)
		r.err = r.cmd.Wait()
	}()
	return r, nil
}

// Ready waits until the relay takes mail.
func (r *Relay) Ready(ctx context.Context) error {
	for {
		if status, _ := fetch(ctx, "http://"+r.probes+"/readyz", io.Discard); status == http.StatusOK {
			return nil
		}
		select {
		case <-r.done:
			return fmt.Errorf("the relay ended: %w", r.err)
		case <-ctx.Done():
			return fmt.Errorf("the relay is not ready: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// PID of the relay's process.
func (r *Relay) PID() int { return r.cmd.Process.Pid }

// Kill ends the relay at once, as the kernel does when memory runs out.
func (r *Relay) Kill() {
	_ = r.cmd.Process.Kill()
	<-r.done
}

// Stop ends the relay in order.
func (r *Relay) Stop() error {
	_ = r.cmd.Process.Signal(os.Interrupt)
	<-r.done
	return r.err
}

// Done is closed when the process has ended.
func (r *Relay) Done() <-chan struct{} { return r.done }
