package delivery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// startTLS turns the connection into an encrypted one (RFC 3207). What the upstream said
// before is forgotten.
func (d *dialer) startTLS(ctx context.Context, c *connection) *Error {
	if !c.extensions.has("STARTTLS") {
		return noTLS(StepSTARTTLS, errors.New("the upstream does not offer STARTTLS; mail is not sent to it unencrypted"))
	}
	answer, failure := c.command(StepSTARTTLS, "STARTTLS")
	if failure != nil {
		return failure
	}
	if answer.code != 220 {
		return classify(StepSTARTTLS, answer)
	}
	if c.r.Buffered() > 0 {
		// Text that came before the handshake came from whoever sits on the wire, and would
		// pass for the first reply inside TLS.
		return noTLS(StepSTARTTLS, errors.New("the upstream sent more than its reply to STARTTLS before the TLS handshake"))
	}
	c.plaintext = c.extensions
	if failure := d.handshake(ctx, c); failure != nil {
		return failure
	}
	return c.ehlo(d.hostname)
}

// handshake encrypts the connection and checks who answers.
func (d *dialer) handshake(ctx context.Context, c *connection) *Error {
	ctx, cancel := context.WithTimeout(ctx, d.timeouts.TLS)
	defer cancel()
	// Deadlines of plaintext replies must not end the handshake.
	if err := c.raw.SetDeadline(time.Time{}); err != nil {
		return lost(StepTLS, err)
	}
	encrypted := tls.Client(c.raw, d.tlsConfig())
	if err := encrypted.HandshakeContext(ctx); err != nil {
		failure := noTLS(StepTLS, explainHandshake(err))
		failure.Err = err
		return failure
	}
	c.use(encrypted)
	return nil
}

// tlsConfig verifies the upstream always. A client certificate is shown whichever CAs the
// upstream names: many know the certificate itself, not who signed it.
func (d *dialer) tlsConfig() *tls.Config {
	c := &tls.Config{
		ServerName:         strings.TrimSuffix(d.upstream.Host, "."),
		RootCAs:            d.upstream.RootCAs,
		MinVersion:         tls.VersionTLS12,
		ClientSessionCache: d.sessions,
		// Small records would show a page the sooner; mail is taken as a whole.
		DynamicRecordSizingDisabled: true,
	}
	if certificate := d.upstream.ClientCertificate; certificate != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	return c
}

// explainHandshake adds to an error what its reader has to change.
func explainHandshake(err error) error {
	if notTLS := (tls.RecordHeaderError{}); errors.As(err, &notTLS) {
		return fmt.Errorf("the upstream did not answer in TLS, check its port and TLS mode: %w", err)
	}
	if refusedByPeer(err) {
		return fmt.Errorf("the upstream ended the TLS handshake, check that it knows TLS 1.2 and whether it wants a client certificate: %w", err)
	}
	untrusted := (*tls.CertificateVerificationError)(nil)
	if !errors.As(err, &untrusted) {
		return err
	}
	advice, invalid := "", x509.CertificateInvalidError{}
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		advice = ", give the relay the CA that signed it"
	case errors.As(err, new(x509.HostnameError)):
		advice = ", set the upstream's host to a name that it is for"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		advice = ", the upstream has to renew it"
	}
	return fmt.Errorf("the upstream's certificate cannot be trusted%s: %w", advice, untrusted.Err)
}

// refusedByPeer reports whether the upstream ended TLS with an alert.
func refusedByPeer(err error) bool {
	alert := (*net.OpError)(nil)
	return errors.As(err, &alert) && alert.Op == "remote error"
}

func noTLS(step Step, err error) *Error {
	return &Error{Class: ClassTLS, Step: step, Text: oneLine(err.Error()), Temporary: true, Err: err}
}
