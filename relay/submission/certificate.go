package submission

import (
	"crypto/x509"
	"slices"
	"sync"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/sasl"
)

// certificate is what a client has shown in the TLS handshake, which proved that the client has
// its key and no more: it may be anybody's. CAs are withdrawn, and certificates end, while
// connections are open.
type certificate struct {
	// chain begins with the client's own.
	chain []*x509.Certificate
	names []string
	cas   func() *x509.CertPool
	now   func() time.Time

	mu sync.Mutex
	// by are the CAs that it was last verified with, and until is how long they vouch for it,
	// zero when they do not.
	by    *x509.CertPool
	until time.Time
}

func (b *backend) newCertificate(chain []*x509.Certificate) *certificate {
	return &certificate{chain: chain, names: sasl.CertificateNames(chain[0]), cas: b.clientCAs, now: b.now}
}

// vouched reports whether one of the CAs that are in use vouches for the certificate now.
func (c *certificate) vouched() bool {
	pool, now := c.cas(), c.now()
	if pool == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// The pool stays the same for as long as its file does.
	if pool != c.by {
		c.by, c.until = pool, c.verify(pool, now)
	}
	return now.Before(c.until)
}

// verify returns how long the CAs vouch for the certificate, zero if they do not.
func (c *certificate) verify(pool *x509.CertPool, now time.Time) time.Time {
	options := x509.VerifyOptions{
		Roots: pool, Intermediates: x509.NewCertPool(), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, between := range c.chain[1:] {
		options.Intermediates.AddCert(between)
	}
	chains, err := c.chain[0].Verify(options)
	if err != nil {
		return time.Time{}
	}
	return validUntil(chains)
}

// validUntil is when the last of the chains ends, each of which does with its first certificate.
func validUntil(chains [][]*x509.Certificate) (until time.Time) {
	for _, chain := range chains {
		first := slices.MinFunc(chain, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
		if first.NotAfter.After(until) {
			until = first.NotAfter
		}
	}
	return until
}
