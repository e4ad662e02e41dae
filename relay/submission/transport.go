package submission

import (
	"crypto/tls"
	"net"
	"net/netip"
	"strings"

	"github.com/emersion/go-smtp"
)

// Transport is a connection that the server can serve: already encrypted, and with an end
// that the session can bring about.
type Transport interface {
	net.Conn
	// ConnectionState is that of the TLS handshake, which is over.
	ConnectionState() tls.ConnectionState
	// Abort sends the reply, without its CRLF, and closes the connection. What go-smtp
	// writes afterwards goes nowhere.
	Abort(reply string)
}

// serviceNamer is a Transport that knows the name of the listener it came from.
type serviceNamer interface{ Service() string }

// NewSession implements smtp.Backend. It is called at the first EHLO or HELO.
func (b *backend) NewSession(c *smtp.Conn) (smtp.Session, error) {
	t, ok := c.Conn().(Transport)
	if !ok || !t.ConnectionState().HandshakeComplete {
		b.log.Error("a connection without TLS reached the SMTP server and is refused", "client", c.Conn().RemoteAddr().String())
		return nil, reply(554, 5, 7, 0, "This connection is not encrypted")
	}
	s := &session{
		backend: b,
		greeted: c.Hostname,
		conn:    t,
		tls:     describeTLS(t.ConnectionState()),
		client:  clientAddress(t),
	}
	if n, ok := c.Conn().(serviceNamer); ok {
		s.service = n.Service()
	}
	return s, nil
}

// clientAddress is the address that the client connected from, not valid when unknown.
func clientAddress(c net.Conn) netip.Addr {
	ap, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// describeTLS names version and cipher suite, such as "TLS1.3 TLS_AES_128_GCM_SHA256".
func describeTLS(state tls.ConnectionState) string {
	version := strings.ReplaceAll(tls.VersionName(state.Version), " ", "")
	return version + " " + tls.CipherSuiteName(state.CipherSuite)
}
