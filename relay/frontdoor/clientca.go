package frontdoor

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"slices"
	"sync"
)

// asker asks clients for a certificate while there are CAs that may have signed it. It verifies
// none: a client may show another that it has for something else, and is still to be let in.
type asker struct {
	cas func() *x509.CertPool
	// served has the keys of session tickets.
	served *tls.Config

	mu   sync.Mutex
	pool *x509.CertPool
	// mark is new whenever the CAs are.
	mark []byte
}

// ask returns config as it is, or as one that asks for a certificate.
func (a *asker) ask(config *tls.Config) *tls.Config {
	if a.cas == nil {
		return config
	}
	pool := a.cas()
	if pool == nil {
		return config
	}
	mark := a.markOf(pool)
	asking := config.Clone()
	asking.ClientAuth = tls.RequestClientCert
	asking.ClientCAs = pool
	// A session that is resumed has the certificate that it began with, or none. When the CAs
	// have changed since, the client must be able to show another one.
	asking.WrapSession = func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		session.Extra = append(session.Extra, mark)
		return a.served.EncryptTicket(state, session)
	}
	asking.UnwrapSession = func(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
		session, err := a.served.DecryptTicket(ticket, state)
		if session == nil || !slices.ContainsFunc(session.Extra, func(e []byte) bool { return slices.Equal(e, mark) }) {
			return nil, err
		}
		return session, err
	}
	return asking
}

// markOf is the mark of the CAs in use.
func (a *asker) markOf(pool *x509.CertPool) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	if pool != a.pool {
		a.pool, a.mark = pool, []byte(rand.Text())
	}
	return a.mark
}
