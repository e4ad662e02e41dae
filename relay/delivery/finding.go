package delivery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/provider"
)

// finding is why an upstream cannot be used, and a sentence about it that says, where that is
// known, what to change. It is empty when the upstream can be used. The sentence is the same
// each time that the same is found: it has no addresses, ports or times of one connection.
type finding struct {
	fault    config.Fault
	sentence string
}

func found(fault config.Fault, format string, args ...any) finding {
	return finding{fault, oneLine(fmt.Sprintf(format, args...))}
}

// wrongMode says what to change where port and TLS mode do not fit.
func wrongMode(u config.ResolvedUpstream, fault config.Fault) finding {
	switch fault {
	case config.FaultExpectsTLS:
		return found(fault, "%d expects TLS from the first byte, this upstream is set to %s: set tls to Implicit", u.Port, u.TLS)
	case config.FaultExpectsPlaintext:
		return found(fault, "%d answers in plaintext, this upstream is set to %s: set tls to StartTLS", u.Port, u.TLS)
	case config.FaultNoSTARTTLS:
		return found(fault, "%d does not offer STARTTLS, this upstream is set to %s: take the port for implicit TLS, usually 465, and set tls to Implicit",
			u.Port, u.TLS)
	default:
		return found(fault, "%d wants encryption, this upstream is set to %s: set tls to StartTLS", u.Port, u.TLS)
	}
}

// judge finds what the opening of a session says of an upstream.
func judge(u config.ResolvedUpstream, f facts) finding {
	e := f.failure
	if e == nil {
		return finding{}
	}
	interpret([]verdict{{err: e}}, provider.Lookup(u.Provider).ReplyRules())
	switch {
	case e.Class == ClassThrottle && e.Step == StepAUTH:
		return found(config.FaultThrottled, "%s wants no login just now: %s", u.Host, e.Reply())
	case e.Class == ClassThrottle:
		return found(config.FaultThrottled, "%s wants no more sessions just now: %s", u.Host, e.Reply())
	case e.Class == ClassTLS && e.Code == 530:
		return wrongMode(u, config.FaultRequiresTLS)
	case e.Class == ClassTLS && e.Code == 0 && e.Step != StepSTARTTLS:
		// Also at the first reply: TLS 1.3 shows only there that the upstream does not go along.
		return judgeTLS(u, f)
	}
	switch e.Step {
	case StepConnect:
		return judgeConnect(u, e)
	case StepSTARTTLS:
		return judgeSTARTTLS(u, f)
	case StepAUTH:
		return judgeLogin(u, f)
	default:
		return judgeSession(u, e)
	}
}

// judgeConnect tells apart why there is no connection.
func judgeConnect(u config.ResolvedUpstream, e *Error) finding {
	unresolved := (*net.DNSError)(nil)
	switch {
	case errors.As(e.Err, &unresolved) && unresolved.IsNotFound:
		return found(config.FaultUnresolved, "the name %s has no address: check host", u.Host)
	case errors.As(e.Err, &unresolved):
		return found(config.FaultUnresolved, "the name %s cannot be looked up: the DNS does not answer, see that the relay can reach it", u.Host)
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		return found(config.FaultUnreachable, "%s refuses connections to port %d: check port, and the firewalls on the way", u.Host, u.Port)
	case errors.Is(e.Err, syscall.EHOSTUNREACH) || errors.Is(e.Err, syscall.ENETUNREACH):
		return found(config.FaultUnreachable, "the network has no way to %s: check its routes", u.Host)
	case timedOut(e.Err):
		return found(config.FaultUnreachable, "%s does not answer on port %d: a firewall or network policy drops the connection, or host or port is wrong", u.Host, u.Port)
	default:
		return found(config.FaultUnreachable, "no connection to %s port %d: %s", u.Host, u.Port, innermost(e.Err))
	}
}

func judgeSTARTTLS(u config.ResolvedUpstream, f facts) finding {
	switch e := f.failure; {
	case !f.offered.has("STARTTLS"):
		return wrongMode(u, config.FaultNoSTARTTLS)
	case e.Code != 0:
		return found(config.FaultTLS, "%s offers STARTTLS and refuses it: %s", u.Host, e.Reply())
	case e.Class == ClassTLS:
		return found(config.FaultTLS, "%s", e.Text)
	default:
		return judgeSession(u, e)
	}
}

// judgeTLS tells apart why a handshake failed.
func judgeTLS(u config.ResolvedUpstream, f facts) finding {
	e := f.failure
	notTLS, untrusted := tls.RecordHeaderError{}, (*tls.CertificateVerificationError)(nil)
	switch {
	case errors.As(e.Err, &untrusted):
		return judgeTrust(u, f.certificate(), untrusted.Err)
	case errors.As(e.Err, &notTLS) && u.TLS == config.TLSImplicit:
		if isReply(notTLS.RecordHeader[:]) {
			return wrongMode(u, config.FaultExpectsPlaintext)
		}
		return found(config.FaultNotSMTP, "what answers on port %d of %s is no mail server: check host and port", u.Port, u.Host)
	case errors.As(e.Err, &notTLS):
		return found(config.FaultTLS, "%s goes on in plaintext after STARTTLS: something on the way may be taking the encryption out", u.Host)
	case refusedByPeer(e.Err):
		return found(config.FaultTLS, "%s ends the TLS handshake, see that it knows TLS 1.2 and whether it wants a client certificate: %s", u.Host, innermost(e.Err))
	case timedOut(e.Err):
		return found(config.FaultTLS, "%s does not answer the TLS handshake: check port", u.Host)
	case hungUp(e.Err):
		return found(config.FaultTLS, "%s closes the connection in the TLS handshake: check port", u.Host)
	default:
		return found(config.FaultTLS, "no TLS session comes about, at least TLS 1.2 is needed: %s", innermost(e.Err))
	}
}

// isReply reports whether something begins as an SMTP reply does.
func isReply(start []byte) bool {
	_, _, _, ok := parseReplyLine(start)
	return ok
}

func judgeLogin(u config.ResolvedUpstream, f facts) finding {
	e := f.failure
	switch {
	case e.Code != 0:
		return found(config.FaultLoginRefused, "%s refuses the login: %s", u.Host, e.Reply())
	case errors.Is(e.Err, errNoToken) && e.Class == ClassAuthentication:
		return found(config.FaultLoginRefused, "%s", e.Text)
	case errors.Is(e.Err, errNoToken):
		return found(config.FaultNoToken, "%s", e.Text)
	case errors.Is(e.Err, context.DeadlineExceeded):
		// Nothing else in a login waits for the context.
		return found(config.FaultNoToken, "the token endpoint gives no answer")
	case e.Class == ClassAuthentication && u.TLS == config.TLSNone && f.offered.has("STARTTLS"):
		return found(config.FaultLoginUnsupported, "%s; it may inside TLS: set tls to StartTLS", e.Text)
	case e.Class == ClassAuthentication:
		return found(config.FaultLoginUnsupported, "%s", e.Text)
	case timedOut(e.Err):
		return judgeSession(u, e)
	default:
		// Some servers have no other answer to wrong credentials.
		return found(config.FaultLoginRefused, "%s", judgeSession(u, e).sentence)
	}
}

// judgeSession is about an upstream that does not do its part in a session.
func judgeSession(u config.ResolvedUpstream, e *Error) finding {
	switch {
	case e.Code != 0:
		return found(config.FaultSession, "%s refuses the session at the %s: %s", u.Host, e.Step, e.Reply())
	case errors.Is(e.Err, errReplyMalformed):
		return found(config.FaultNotSMTP, "what answers on port %d of %s is no mail server: check host and port", u.Port, u.Host)
	case timedOut(e.Err) && e.Step == StepGreeting:
		return found(config.FaultSilent, "%s takes connections on port %d and does not greet: check host and port", u.Host, u.Port)
	case timedOut(e.Err):
		return found(config.FaultSession, "%s gives no answer to %s", u.Host, e.Step)
	case hungUp(e.Err) && e.Step == StepGreeting:
		return found(config.FaultSession, "%s closes the connection instead of greeting: it may refuse the address that the relay comes from", u.Host)
	case hungUp(e.Err):
		return found(config.FaultSession, "%s closes the connection instead of answering %s", u.Host, e.Step)
	default:
		return found(config.FaultSession, "%s breaks the session off at the %s: %s", u.Host, e.Step, e.Text)
	}
}

// timedOut reports whether time was up: that of a step, or of the whole, whose end closes the
// connection.
func timedOut(err error) bool {
	timeout := net.Error(nil)
	return errors.Is(err, net.ErrClosed) || errors.As(err, &timeout) && timeout.Timeout()
}

// hungUp reports whether the other side closed the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// innermost is the text of the cause of an error: what wraps it names addresses of this one
// connection.
func innermost(err error) string {
	operation := (*net.OpError)(nil)
	if errors.As(err, &operation) {
		return operation.Err.Error()
	}
	return err.Error()
}
