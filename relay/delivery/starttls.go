package delivery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
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
	encrypted := tls.Client(c.raw, &tls.Config{
		ServerName:         strings.TrimSuffix(d.upstream.Host, "."),
		RootCAs:            d.upstream.RootCAs,
		MinVersion:         tls.VersionTLS12,
		ClientSessionCache: d.sessions,
	})
	if err := encrypted.HandshakeContext(ctx); err != nil {
		return noTLS(StepTLS, explainHandshake(err))
	}
	c.use(encrypted)
	return nil
}

// explainHandshake adds to an error what its reader has to look at.
func explainHandshake(err error) error {
	if notTLS := (tls.RecordHeaderError{}); errors.As(err, &notTLS) {
		return fmt.Errorf("the upstream did not answer in TLS, check its port and TLS mode: %w", err)
	}
	if untrusted := (*tls.CertificateVerificationError)(nil); errors.As(err, &untrusted) {
		return fmt.Errorf("the upstream's certificate cannot be trusted: %w", untrusted.Err)
	}
	return err
}

func noTLS(step Step, err error) *Error {
	return &Error{Class: ClassTLS, Step: step, Text: oneLine(err.Error()), Temporary: true, Err: err}
}
