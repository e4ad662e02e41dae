package frontdoor

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options say what a Door serves and what it allows. Zero values get the default named
// with the field.
type Options struct {
	// Hostname is the relay's name in greetings and replies. Required.
	Hostname string
	// Submissions takes connections that begin with TLS (port 465).
	Submissions net.Listener
	// Submission takes connections that begin in plaintext and need STARTTLS (port 587).
	// At least one of the two listeners is required.
	Submission net.Listener
	// GetCertificate chooses the certificate of a handshake; it is asked each time, so
	// that a renewed certificate is served at once. A client that sends no SNI has an
	// empty ServerName. Required.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// ClientCAs returns the CAs that may sign certificates of clients, the same pool while they
	// stay the same; it is asked at each handshake. Clients are asked for a certificate when it
	// returns any: they need none, and may show any. It is for the server behind to verify what
	// they show, which is not verified here. Nil asks no client.
	ClientCAs func() *x509.CertPool
	// MinVersion is tls.VersionTLS12 (default) or tls.VersionTLS13.
	MinVersion uint16
	// Own reports whether a connection from that address is a look of the relay's own: no metric
	// counts it, but limits hold for it. Nil: there are none.
	Own func(net.Addr) bool
	// Limits bound what clients may use.
	Limits Limits
	// Timeouts bound every wait.
	Timeouts Timeouts
	// Logger gets one line for each client in the wrong mode and each failed handshake.
	// Nil logs nothing.
	Logger *slog.Logger
	// Registerer gets the metrics. Nil registers them nowhere.
	Registerer prometheus.Registerer
}

// Limits bound what clients may use. A zero field gets the default named with it.
type Limits struct {
	// Connections is the cap over both listeners. Default 12000.
	Connections int
	// PerAddress is the cap for one client address. All of a /64 of IPv6 may have half of
	// Connections, or PerAddress where that is more. Default 2000.
	PerAddress int
	// MinRate is the bytes a second that a body must come with, averaged over the time
	// that the relay waited for it. Default 500.
	MinRate int
	// Line is the longest command or SASL line in bytes. Default 16384: RFC 4954 §4 wants
	// 12288 for SASL, and some tokens need more.
	Line int
	// Commands is how many may come without a message body. Default 20000,
	// twice as many as the recipients that a message can be allowed.
	Commands int
	// Errors is how many 5xx replies a client may get without a message taken, but for those
	// within a transaction, which Commands bounds. Default 100.
	Errors int
}

// Timeouts are the longest waits of a connection, in the order in which they apply. A zero
// field gets the default named with it.
type Timeouts struct {
	// Silence is how long a client of port 465 may say nothing before it is taken for one
	// that waits for a plaintext greeting. Default 5s.
	Silence time.Duration
	// Preamble is the whole plaintext dialogue on port 587. Default 1m.
	Preamble time.Duration
	// Handshake is the TLS handshake. Default 30s.
	Handshake time.Duration
	// Login is from the end of the handshake until the client has logged in. Default 2m.
	Login time.Duration
	// Command is from a reply to the end of the next command. Default 5m (RFC 5321
	// §4.5.3.2.7).
	Command time.Duration
	// Body is each wait for a part of a body, and the head start that the minimum rate
	// gives. Default 3m (RFC 5321 §4.5.3.2.5).
	Body time.Duration
	// Write is for one reply to be taken. Default 1m.
	Write time.Duration
	// Session is the whole session; a transaction begun before may take Command longer.
	// Default 1h.
	Session time.Duration
	// Close is for the last reply to be taken when a connection ends. Default 1s.
	Close time.Duration
}

// withDefaults checks o and fills what was left out.
func (o Options) withDefaults() (Options, error) {
	switch {
	case o.Hostname == "":
		return o, errors.New("no host name is set for the greeting")
	case o.Submissions == nil && o.Submission == nil:
		return o, errors.New("no listener is on: a relay needs 465, 587 or both")
	case o.GetCertificate == nil:
		return o, errors.New("no source of certificates is set: both ports need one")
	}
	setDefault(&o.MinVersion, tls.VersionTLS12)
	if o.MinVersion < tls.VersionTLS12 {
		return o, fmt.Errorf("minimum TLS version %s is not allowed: use TLS 1.2 or 1.3", tls.VersionName(o.MinVersion))
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Limits.setDefaults()
	o.Timeouts.setDefaults()
	return o, nil
}

func (l *Limits) setDefaults() {
	setDefault(&l.Connections, 12000)
	setDefault(&l.PerAddress, 2000)
	setDefault(&l.MinRate, 500)
	setDefault(&l.Line, 16384)
	setDefault(&l.Commands, 20000)
	setDefault(&l.Errors, 100)
}

func (t *Timeouts) setDefaults() {
	setDefault(&t.Silence, 5*time.Second)
	setDefault(&t.Preamble, time.Minute)
	setDefault(&t.Handshake, 30*time.Second)
	setDefault(&t.Login, 2*time.Minute)
	setDefault(&t.Command, 5*time.Minute)
	setDefault(&t.Body, 3*time.Minute)
	setDefault(&t.Write, time.Minute)
	setDefault(&t.Session, time.Hour)
	setDefault(&t.Close, time.Second)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
