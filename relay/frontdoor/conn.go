package frontdoor

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is an encrypted connection to a client. It gives the server behind it the client's
// bytes unaltered, and guards the rest: see the package comment. The SetDeadline methods
// do nothing, since time is the Conn's own.
type Conn struct {
	tls     *tls.Conn
	raw     net.Conn
	service Service
	options *Options
	// released is called once, when the socket is closed.
	released func()

	// readMu is held while bytes are read, writeMu while they are written.
	readMu, writeMu sync.Mutex
	// kept are bytes read and not yet handed over, guarded by readMu.
	kept []byte
	// partial are lines of a reply whose last line has not come, and unsent whole replies that
	// wait for more, guarded by writeMu.
	partial, unsent []byte
	// ahead is true while the client's next command is at hand.
	ahead atomic.Bool

	mu       sync.Mutex // guards what follows
	dialogue dialogue
	pace     pace
	command  command
	// leaving is the reply to end with between transactions, empty for a session that goes on.
	leaving string
	// overdue: the client is not waited for any more within a transaction either.
	overdue bool
	reading bool
	ended   bool
	readErr error
}

var _ net.Conn = (*Conn)(nil)

var errNotEncrypted = errors.New("frontdoor: connection is not encrypted")

// newConn makes the only thing that a Door hands over. It refuses a connection whose
// handshake is not complete, whoever calls it.
func newConn(t *tls.Conn, s Service, o *Options, released func()) (*Conn, error) {
	if !t.ConnectionState().HandshakeComplete {
		return nil, errNotEncrypted
	}
	now := time.Now()
	c := &Conn{
		tls:      t,
		raw:      t.NetConn(),
		service:  s,
		options:  o,
		released: released,
		pace:     pace{timeouts: o.Timeouts, minRate: o.Limits.MinRate, began: now, asked: now},
	}
	return c, t.SetDeadline(time.Time{})
}

// ConnectionState is what the handshake agreed on.
func (c *Conn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// Service is the name of the Service that the client came to.
func (c *Conn) Service() string { return string(c.service) }

// LocalAddr is the address of the listener's end.
func (c *Conn) LocalAddr() net.Addr { return c.raw.LocalAddr() }

// RemoteAddr is the client's address.
func (c *Conn) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// SetDeadline does nothing: the Conn sets its own deadlines.
func (c *Conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing: the Conn sets its own deadlines.
func (c *Conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: the Conn sets its own deadlines.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }
