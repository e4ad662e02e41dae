package frontdoor

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"
)

// maxPreamble is how many commands a client may send before STARTTLS.
const maxPreamble = 50

// visit is a connection on its way to be encrypted.
type visit struct {
	raw     net.Conn
	service Service
	options *Options
	metrics *metrics
	log     *slog.Logger
}

// encrypt brings the connection to the end of the TLS handshake. When it returns nil, the
// client has been told why and the connection is closed.
func (v *visit) encrypt(config *tls.Config) *tls.Conn {
	ready := &peeked{Conn: v.raw}
	switch v.service {
	case Submissions:
		ready = v.awaitTLS()
	case Submission:
		if !v.preamble() {
			ready = nil
		}
	}
	if ready == nil {
		return nil
	}
	return v.handshake(ready, config)
}

// handshake fails closed: after an attempt at TLS nothing is said in plaintext any more.
func (v *visit) handshake(ready *peeked, config *tls.Config) *tls.Conn {
	v.raw.SetDeadline(time.Now().Add(v.options.Timeouts.Handshake))
	watched := &alertWatch{peeked: ready}
	t := tls.Server(watched, config)
	if err := t.HandshakeContext(context.Background()); err != nil {
		err = watched.explain(err)
		v.metrics.handshakeFailures.WithLabelValues(string(v.service)).Inc()
		v.log.Info("TLS handshake failed"+handshakeHint(err), "error", err)
		v.raw.Close()
		return nil
	}
	return t
}

// handshakeHint says what to change where the error alone does not.
func handshakeHint(err error) string {
	text := err.Error()
	switch {
	case strings.Contains(text, "unknown certificate authority"):
		return ": the client does not trust the certificate, give it the relay's CA"
	case strings.Contains(text, "bad certificate"), strings.Contains(text, "unknown certificate"):
		return ": the client refuses the certificate, check its CA and the host name it uses"
	case strings.Contains(text, "unsupported versions"):
		return ": the client is older than TLS 1.2, update it"
	}
	return ""
}

// awaitTLS takes the first bytes on port 465 and returns the connection when they are
// TLS.
func (v *visit) awaitTLS() *peeked {
	p := &peeked{Conn: v.raw}
	err := p.peek(v.options.Timeouts.Silence)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		v.wrongMode(modeSilent)
	case err != nil:
		v.healthCheck()
	case isTLS(p.first):
		return p
	default:
		v.wrongMode(sniff(p.first))
	}
	return nil
}

// preamble speaks on port 587 until the client may start TLS.
func (v *visit) preamble() bool {
	v.raw.SetDeadline(time.Now().Add(v.options.Timeouts.Preamble))
	p := preamble{hostname: v.options.Hostname}
	if _, err := io.WriteString(v.raw, p.greeting()); err != nil {
		v.healthCheck()
		return false
	}
	l := &lines{r: v.raw}
	if err := l.fill(); err != nil {
		v.silent(err)
		return false
	}
	if m := sniff(l.buffer); m == modeTLS || m == modeProxy || m == modeHTTP {
		v.wrongMode(m)
		return false
	}
	return v.converse(p, l)
}

// silent ends a visit on port 587 that had not one byte.
func (v *visit) silent(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		v.bid("421 4.4.2 " + v.options.Hostname + " closing: no command came in time\r\n")
		return
	}
	v.healthCheck()
}

// converse answers commands, and tells whether TLS is next.
func (v *visit) converse(p preamble, l *lines) bool {
	for range maxPreamble {
		line, err := l.next()
		if err != nil {
			v.bid(v.lineFailure(err))
			return false
		}
		reply, next := p.command(line)
		switch {
		case next == stepHTTP:
			v.wrongMode(modeHTTP)
			return false
		case next == stepQuit:
			v.bid(reply)
			return false
		case next == stepStartTLS && l.ahead():
			v.bid("503 5.5.1 Nothing may follow STARTTLS before its reply, closing\r\n")
			return false
		}
		if _, err := io.WriteString(v.raw, reply); err != nil {
			v.raw.Close()
			return false
		}
		if next == stepStartTLS {
			return true
		}
	}
	v.bid("421 4.7.0 " + v.options.Hostname + " too many commands before STARTTLS\r\n")
	return false
}

// lineFailure is what to say when no further line can be read.
func (v *visit) lineFailure(err error) string {
	switch {
	case errors.Is(err, errLineTooLong):
		return "500 5.5.2 Line too long, closing\r\n"
	case errors.Is(err, errBareLF):
		return "500 5.5.2 Lines must end with CR LF, closing\r\n"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "421 4.4.2 " + v.options.Hostname + " closing: no STARTTLS came in time\r\n"
	}
	return ""
}

// healthCheck ends a connection that was closed without a byte, as load balancers and
// probes do.
func (v *visit) healthCheck() {
	v.metrics.healthChecks.WithLabelValues(string(v.service)).Inc()
	v.raw.Close()
}

// wrongMode tells the operator what to change in the client, and the client where it has
// been greeted in plaintext. Port 465 says not one byte before TLS.
func (v *visit) wrongMode(m mode) {
	v.metrics.wrongMode.WithLabelValues(string(v.service), string(m)).Inc()
	v.log.Warn(advice[v.service][m], "kind", string(m))
	if v.service == Submissions || m == modeTLS {
		v.bid("")
		return
	}
	v.bid(wrongModeReply + "\r\n")
}

// bid says a last word in plaintext and closes.
func (v *visit) bid(last string) {
	defer v.raw.Close()
	v.raw.SetDeadline(time.Now().Add(v.options.Timeouts.Close))
	if _, err := io.WriteString(v.raw, last); err == nil {
		linger(v.raw)
	}
}
