package submission

import (
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// maxLogins is how many times a client may try to log in on one connection before it is told
// 421 and cut off.
const maxLogins = 5

// session is one connection. go-smtp calls it from one goroutine at a time, but Reset and
// Logout may come while Data runs.
type session struct {
	*backend
	conn    *conn
	abort   func(reply string)
	leave   func(reply string, grace time.Duration)
	service string
	tls     string
	peer    tls.ConnectionState
	client  netip.Addr
	// certificate is what the client showed, which counts only while it is vouched for; nil
	// when it showed none.
	certificate *certificate
	// greeted returns the argument of the last EHLO.
	greeted func() string

	mu     sync.Mutex
	user   string      // who logged in, empty for nobody
	holds  func() bool // whether the login is still good
	tx     *transaction
	logins int
}

var _ smtp.AuthSession = (*session)(nil)

// NewSession implements smtp.Backend. It is called at the first EHLO or HELO.
func (b *backend) NewSession(c *smtp.Conn) (smtp.Session, error) {
	own := c.Conn().(*conn) // Serve hands over nothing else
	t, ok := own.Conn.(Transport)
	if !ok || !t.ConnectionState().HandshakeComplete {
		b.log.Error("a connection without TLS reached the SMTP server and is refused", "client", c.Conn().RemoteAddr().String())
		return nil, reply(554, 5, 7, 0, "This connection is not encrypted")
	}
	s := &session{
		backend: b,
		conn:    own,
		abort:   t.Abort,
		leave:   t.Leave,
		tls:     describeTLS(t.ConnectionState()),
		client:  clientAddress(t),
		greeted: c.Hostname,
	}
	if n, ok := own.Conn.(serviceNamer); ok {
		s.service = n.Service()
	}
	s.setPeer(t.ConnectionState())
	return s, nil
}

// setPeer keeps what the TLS handshake tells of the client.
func (s *session) setPeer(state tls.ConnectionState) {
	s.peer = state
	if len(state.PeerCertificates) > 0 {
		s.certificate = s.newCertificate(state.PeerCertificates)
	}
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

// transaction is one mail transaction (RFC 5321 §3.3).
type transaction struct {
	started time.Time
	user    *config.User
	// sender is the reverse-path, empty for the null one.
	sender     string
	recipients []spool.Recipient
	// ret and envelopeID are RET and ENVID (RFC 3461), empty when the client did not say.
	ret, envelopeID string
	// maxSize in bytes that the user may send, 0 for any.
	maxSize int64
	// askedUTF8 is true when the client sent SMTPUTF8, which many do without need.
	askedUTF8 bool
	// needsUTF8 is true when an address is not ASCII.
	needsUTF8 bool
}

// Reset implements smtp.Session: it ends the transaction.
func (s *session) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tx = nil
}

// Logout implements smtp.Session: the connection is over.
func (s *session) Logout() error {
	s.Reset()
	s.open.remove(s)
	return nil
}

// userName is who logged in, empty for nobody.
func (s *session) userName() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.user
}
