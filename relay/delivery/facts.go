package delivery

import (
	"crypto/tls"
	"crypto/x509"
	"errors"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// facts are what the opening of a session with an upstream showed, as far as it got.
type facts struct {
	// encryption is the state of TLS, nil without TLS.
	encryption *tls.ConnectionState
	// plaintext are the extensions before STARTTLS, and offered those at the end.
	plaintext, offered extensions
	// login means that the session was to have a login.
	login bool
	// failure is why there is no session, nil when there is one.
	failure *Error
}

// tell passes on what the opening of a session showed. It returns the failure.
func (d *dialer) tell(c *connection, failure *Error) *Error {
	if d.observe == nil {
		return failure
	}
	f := facts{login: d.logsIn() && !d.withoutLogin, failure: failure}
	if c != nil {
		f.plaintext, f.offered = c.plaintext, c.extensions
		if encrypted, ok := c.conn.(*tls.Conn); ok {
			state := encrypted.ConnectionState()
			f.encryption = &state
		}
	}
	d.observe(f)
	return failure
}

// logsIn reports whether there is something to log in with.
func (d *dialer) logsIn() bool { return len(d.usableMechanisms()) > 0 }

// certificate is the upstream's, also one that was not trusted; nil when none was seen.
func (f facts) certificate() *x509.Certificate {
	var shown []*x509.Certificate
	untrusted := (*tls.CertificateVerificationError)(nil)
	switch {
	case f.encryption != nil:
		shown = f.encryption.PeerCertificates
	case f.failure != nil && errors.As(f.failure.Err, &untrusted):
		shown = untrusted.UnverifiedCertificates
	}
	if len(shown) == 0 {
		return nil
	}
	return shown[0]
}

// resumed reports whether TLS was resumed. The certificate is that of the session before then.
func (f facts) resumed() bool { return f.encryption != nil && f.encryption.DidResume }

// loggedIn reports whether the upstream took the credentials.
func (f facts) loggedIn() bool { return f.login && f.failure == nil }

// loginFailed reports whether credentials were sent in vain, by what was made of the failure.
func (f facts) loginFailed(is finding) bool {
	return is.fault == config.FaultLoginRefused || is.fault == config.FaultThrottled && f.failure.Step == StepAUTH
}
