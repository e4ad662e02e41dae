package sasl

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// CertificateNames are the names in a client's certificate, written as in
// config.User.Certificates. The common name is one only without alternative names: a CA that
// vouches for those may leave the subject to whoever asks (RFC 9525 §2). A URI that names a key
// is one only in a certificate of that key (see config.KeyName).
func CertificateNames(cert *x509.Certificate) []string {
	var names []string
	for _, uri := range cert.URIs {
		if key, ok := config.NamesKey(uri.String()); !ok || key == config.KeyName(cert.RawSubjectPublicKeyInfo) {
			names = append(names, "URI:"+uri.String())
		}
	}
	for _, name := range cert.DNSNames {
		names = append(names, "DNS:"+name)
	}
	for _, address := range cert.EmailAddresses {
		names = append(names, "email:"+address)
	}
	if len(names)+len(cert.URIs)+len(cert.IPAddresses) == 0 && cert.Subject.CommonName != "" {
		names = append(names, "CN:"+cert.Subject.CommonName)
	}
	return names
}

// shows reports whether the client's certificate is the user's at that time, and still worth
// anything.
func (c Client) shows(user *config.User, now time.Time) bool {
	return (c.Vouched == nil || c.Vouched()) &&
		slices.ContainsFunc(c.Certificate, func(name string) bool { return user.CertificateAt(name, now) })
}

// external is the EXTERNAL mechanism (RFC 4422 appendix A): the client's certificate says
// who it is.
type external struct {
	attempt
	over bool
}

// Next implements Exchange.
func (e *external) Next(response []byte) ([]byte, bool, error) {
	if e.over {
		return nil, false, ErrMalformed
	}
	if response == nil {
		return []byte{}, false, nil
	}
	e.over = true
	if len(response) > maxField {
		return nil, false, fmt.Errorf("%w: the authorization identity is longer than %d octets", ErrMalformed, maxField)
	}
	e.user = string(response)
	user, err := e.owner()
	if err != nil {
		return nil, false, err
	}
	e.user = user.Name
	if user.Require == config.RequireAll {
		return nil, false, ErrNeedsSecret
	}
	e.proof = func(user *config.User) bool {
		return user.Require != config.RequireAll && e.client.shows(user, e.passwords.now())
	}
	return nil, true, nil
}

// owner is the user whose certificate it is: the one that the client asks to be, or else
// the only one.
func (e *external) owner() (*config.User, error) {
	if e.user != "" {
		user, ok := e.users.Lookup(e.user)
		if !ok || !e.client.shows(user, e.passwords.now()) {
			return nil, fmt.Errorf("%w: the certificate is not this user's: it has the names %q", ErrCredentials, e.client.Certificate)
		}
		return user, nil
	}
	var owner *config.User
	for _, name := range e.client.Certificate {
		user, ok := e.users.ByCertificate(name)
		ok = ok && user.CertificateAt(name, e.passwords.now())
		if ok && owner != nil && user != owner {
			return nil, fmt.Errorf("%w: the certificate is of two users: ask for one of them as authorization identity", ErrCredentials)
		}
		if ok {
			owner = user
		}
	}
	if owner == nil {
		return nil, fmt.Errorf("%w: the certificate is no user's: it has the names %q", ErrCredentials, e.client.Certificate)
	}
	return owner, nil
}
