// Package submission is the SMTP server that apps submit mail to (RFC 6409): it says who
// may do what when, and puts what it accepts into the spool. The SMTP dialogue itself is
// go-smtp's; what go-smtp leaves open or gets wrong is decided here, command by command.
package submission

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/policy"
	"github.com/mailrelay-dev/mailrelay-operator/relay/sasl"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// Options are what a server needs.
type Options struct {
	// Config returns the configuration in use, with its defaults filled in. It is asked at
	// each command, so that a reload needs no restart.
	Config func() *config.Config
	// Users may log in. They can be replaced while the server runs.
	Users *policy.Users
	// Tokens validates bearer tokens; when nil those in the user files.
	Tokens sasl.TokenValidator
	// ClientCAs returns the CAs that sign certificates of users, nil when there are none; the same
	// pointer for as long as they stay the same. Without it certificates let nobody in.
	ClientCAs func() *x509.CertPool
	// Spool takes the messages.
	Spool spool.Spool
	// Backlog says how many messages of a user wait for delivery, and how long it takes until
	// the user's rate lets the next one go. It counts a message when its Commit returns.
	// Without it nobody's queue is ever full.
	Backlog func(user string) (messages int, wait time.Duration)
	// Logger gets a line for each message accepted and for each command refused;
	// slog.Default when nil.
	Logger *slog.Logger
	// Registerer gets the metrics; they are counted but not shown when nil.
	Registerer prometheus.Registerer
	// Now is the clock; time.Now when nil.
	Now func() time.Time

	// pause holds back the answer to a failed login; time.Sleep when nil.
	pause func(time.Duration)
}

// Server is the SMTP server.
type Server struct {
	smtp    *smtp.Server
	backend *backend
}

// NewServer makes a server.
//
// go-smtp's own limits stay off. It refuses a message of exactly its size limit and takes
// its limits once and for all; the session counts by the configuration in use. Time and the
// length of command lines belong to whoever owns the connections.
func NewServer(opts Options) (*Server, error) {
	b, err := newBackend(opts)
	if err != nil {
		return nil, err
	}
	s := smtp.NewServer(b)
	s.Domain = opts.Config().Hostname
	s.MaxLineLength = 0
	s.EnableSMTPUTF8 = true
	s.EnableDSN = true
	// go-smtp takes a connection for encrypted only when it is a *tls.Conn. Ours are not,
	// so it must be told that AUTH is fine; NewSession refuses a connection without TLS.
	s.AllowInsecureAuth = true
	s.ErrorLog = errorLog{b.log}
	return &Server{smtp: s, backend: b}, nil
}

// Serve serves the connections of a listener, which must be Transports. It returns when
// Accept fails or the server is closed.
func (s *Server) Serve(l net.Listener) error {
	return s.smtp.Serve(listener{Listener: l, config: s.backend.config})
}

// Close closes the listeners and all connections at once.
func (s *Server) Close() error { return s.smtp.Close() }

// backend is what all sessions share.
type backend struct {
	config     func() *config.Config
	users      *policy.Users
	clientCAs  func() *x509.CertPool
	spool      spool.Spool
	backlog    func(user string) (messages int, wait time.Duration)
	meters     policy.Meters
	places     places
	rewriters  rewriters
	mechanisms *sasl.Mechanisms
	failures   *sasl.Failures
	open       sessions
	previous   previousLogins
	pause      func(time.Duration)
	log        *slog.Logger
	metrics    *metrics
	now        func() time.Time
}

func newBackend(opts Options) (*backend, error) {
	if opts.Config == nil || opts.Users == nil || opts.Spool == nil {
		return nil, errors.New("submission: Config, Users and Spool must be set")
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Tokens == nil {
		opts.Tokens = sasl.HashedTokens{TokenDirectory: opts.Users}
	}
	if opts.ClientCAs == nil {
		opts.ClientCAs = func() *x509.CertPool { return nil }
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.pause == nil {
		opts.pause = time.Sleep
	}
	mechanisms, err := sasl.New(sasl.Options{
		Users:    opts.Users,
		Tokens:   opts.Tokens,
		DecoyKey: func() string { return opts.Config().Users.DecoyKey },
		Now:      opts.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("submission: %w", err)
	}
	m, err := newMetrics(opts.Registerer)
	if err != nil {
		return nil, fmt.Errorf("submission: %w", err)
	}
	return &backend{
		config:     opts.Config,
		users:      opts.Users,
		clientCAs:  opts.ClientCAs,
		spool:      opts.Spool,
		backlog:    opts.Backlog,
		mechanisms: mechanisms,
		failures:   sasl.NewFailures(opts.Now),
		pause:      opts.pause,
		log:        opts.Logger,
		metrics:    m,
		now:        opts.Now,
	}, nil
}

// errorLog is go-smtp's Logger. It hears of connections that broke off, which is everyday
// business, and of panics that go-smtp recovered from.
type errorLog struct{ log *slog.Logger }

// Printf implements smtp.Logger.
func (l errorLog) Printf(format string, v ...any) {
	level := slog.LevelDebug
	if strings.HasPrefix(format, "panic") {
		level = slog.LevelError
	}
	l.log.Log(context.Background(), level, fmt.Sprintf(format, v...))
}

// Println implements smtp.Logger.
func (l errorLog) Println(v ...any) { l.log.Warn(fmt.Sprint(v...)) }
