// Package admin serves what watches a relay: probes for the kubelet, metrics for
// Prometheus and, over mutual TLS, the status report for the operator.
package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// Options are what a Server shows. All functions may be called at any time, also at the
// same time.
type Options struct {
	// Ports are the addresses to listen on.
	Ports config.Admin
	// Alive is false when only a restart can help.
	Alive func() bool
	// Ready is true while the relay takes mail.
	Ready func() bool
	// Snapshot is the configuration in use: its certificate and the CA of its clients
	// protect the status port.
	Snapshot func() *config.Snapshot
	// Report is what the status port says.
	Report func() config.Report
	// Gatherer has the metrics.
	Gatherer prometheus.Gatherer
	// Logger is slog.Default when nil.
	Logger *slog.Logger
}

const (
	// maxConnections of each port: a handful of clients come every few seconds.
	maxConnections = 64
	maxHeaderBytes = 16 << 10
	headerTimeout  = 5 * time.Second
	readTimeout    = 10 * time.Second
	// writeTimeout is longer than a scrape may take by Prometheus' default.
	writeTimeout = 30 * time.Second
	idleTimeout  = 60 * time.Second
	stopTimeout  = 2 * time.Second
)

// Server is the HTTP ports of a relay.
type Server struct {
	log   *slog.Logger
	ports []port
}

// port is one listener and what it serves.
type port struct {
	name     string
	listener net.Listener
	server   *http.Server
}

// Listen opens the ports that are not off. Serve must be called, also to close them.
func Listen(o Options) (*Server, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	s := &Server{log: o.Logger}
	for _, p := range []struct {
		name, address string
		handler       http.Handler
		tls           *tls.Config
	}{
		{"probes", o.Ports.Probes, probes(o.Alive, o.Ready), nil},
		{"metrics", o.Ports.Metrics, metrics(o.Gatherer), nil},
		{"status", o.Ports.Status, status(o.Report), mutualTLS(o.Snapshot)},
	} {
		if p.address == config.Off {
			continue
		}
		if err := s.listen(p.name, p.address, p.handler, p.tls); err != nil {
			return nil, errors.Join(fmt.Errorf("listen for %s: %w", p.name, err), s.close())
		}
	}
	return s, nil
}

func (s *Server) listen(name, address string, handler http.Handler, tlsConfig *tls.Config) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	listener = netutil.LimitListener(listener, maxConnections)
	if tlsConfig != nil {
		listener = tls.NewListener(listener, tlsConfig)
	}
	s.ports = append(s.ports, port{name: name, listener: listener, server: &http.Server{
		Handler:           handler,
		MaxHeaderBytes:    maxHeaderBytes,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          slog.NewLogLogger(s.log.With("port", name).Handler(), slog.LevelDebug),
	}})
	return nil
}

// Addr is where a port listens, by its name: "probes", "metrics" or "status"; nil when it
// is off.
func (s *Server) Addr(name string) net.Addr {
	for _, p := range s.ports {
		if p.name == name {
			return p.listener.Addr()
		}
	}
	return nil
}

// Serve answers until ctx is done or a port fails, and closes all ports. The error is that
// of the port.
func (s *Server) Serve(ctx context.Context) error {
	failed := make(chan error, len(s.ports))
	var serving sync.WaitGroup
	for _, p := range s.ports {
		serving.Go(func() {
			if err := p.server.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve %s: %w", p.name, err)
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.shutdown()
	serving.Wait()
	return err
}

// shutdown lets answers under way end.
func (s *Server) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	for _, p := range s.ports {
		if err := p.server.Shutdown(ctx); err != nil {
			_ = p.server.Close()
		}
	}
}

// close closes ports that were never served.
func (s *Server) close() error {
	var errs []error
	for _, p := range s.ports {
		errs = append(errs, p.listener.Close())
	}
	return errors.Join(errs...)
}
