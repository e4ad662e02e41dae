package frontdoor

import (
	"cmp"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options are what a Door is made of.
type Options struct {
	// Hostname is the first word of the greeting and of the EHLO reply (RFC 5321 §4.1.1.1).
	Hostname string
	// Submissions takes implicit TLS, port 465; nil when it is off.
	Submissions net.Listener
	// Submission takes STARTTLS, port 587; nil when it is off.
	Submission net.Listener
	// GetCertificate chooses the certificate of each handshake, so that a renewed one is
	// served at once. It must have an answer for clients without SNI.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// MinVersion is the lowest TLS version; TLS 1.2 when zero.
	MinVersion uint16
	Limits     Limits
	Timeouts   Timeouts
	Logger     *slog.Logger
	// Registerer takes the metrics; nil means none are registered.
	Registerer prometheus.Registerer
}

// Limits bound what clients may use.
type Limits struct {
	// Connections over both ports. Default 12000.
	Connections int
	// PerAddress is the cap for one client address. Default 2000.
	PerAddress int
	// MinRate is the bytes a second that a message must come in with, seen over the whole
	// message after Timeouts.Grace. Default 500.
	MinRate int
}

// Timeouts bound how long clients may take.
type Timeouts struct {
	// Silence is how long a client of 465 may send nothing. Default 5s.
	Silence time.Duration
	// Handshake is for the TLS handshake. Default 15s.
	Handshake time.Duration
	// Read is for each read of commands or content (RFC 5321 §4.5.3.2.7). Default 5m.
	Read time.Duration
	// Write is for each reply. Default 30s.
	Write time.Duration
	// Session is for a whole connection. Default 1h.
	Session time.Duration
	// Grace is how long a message may come in slower than Limits.MinRate. Default 1m.
	Grace time.Duration
}

func (o *Options) complete() error {
	switch {
	case o.Submissions == nil && o.Submission == nil:
		return errors.New("no listener is on; a relay needs 465, 587 or both")
	case o.GetCertificate == nil:
		return errors.New("no source of certificates is set")
	case o.Hostname == "":
		return errors.New("no host name is set for the greeting")
	}
	o.MinVersion = cmp.Or(o.MinVersion, tls.VersionTLS12)
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	o.Limits.Connections = cmp.Or(o.Limits.Connections, 12000)
	o.Limits.PerAddress = cmp.Or(o.Limits.PerAddress, 2000)
	o.Limits.MinRate = cmp.Or(o.Limits.MinRate, 500)
	t := &o.Timeouts
	t.Silence = cmp.Or(t.Silence, 5*time.Second)
	t.Handshake = cmp.Or(t.Handshake, 15*time.Second)
	t.Read = cmp.Or(t.Read, 5*time.Minute)
	t.Write = cmp.Or(t.Write, 30*time.Second)
	t.Session = cmp.Or(t.Session, time.Hour)
	t.Grace = cmp.Or(t.Grace, time.Minute)
	return nil
}
