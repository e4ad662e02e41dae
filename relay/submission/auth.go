package submission

import (
	"crypto/tls"
	"errors"
	"strings"

	gosasl "github.com/emersion/go-sasl"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/sasl"
)

// bindingSize is the size of a tls-exporter channel binding (RFC 9266 §4.2).
const bindingSize = 32

// AuthMechanisms implements smtp.AuthSession.
func (s *session) AuthMechanisms() []string { return s.mechanisms.Names(s.saslClient()) }

// saslClient is what the TLS handshake tells of the client.
func (s *session) saslClient() sasl.Client {
	c := sasl.Client{Address: s.client}
	if s.config().Users.ScramPlus && s.peer.Version == tls.VersionTLS13 {
		// Below TLS 1.3 the value needs an extension that not every client has (RFC 9266 §2).
		c.Binding, _ = s.peer.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, bindingSize)
	}
	if s.certificate != nil && s.certificate.vouched() {
		c.Certificate, c.Vouched = s.certificate.names, s.certificate.vouched
	}
	return c
}

// Auth implements smtp.AuthSession (RFC 4954 §4). go-smtp refuses a second login itself.
func (s *session) Auth(mechanism string) (gosasl.Server, error) {
	exchange, r := s.startAuth(mechanism)
	if r != nil {
		s.logRefusal("AUTH", r)
		return nil, s.say(r)
	}
	return &login{session: s, mechanism: mechanism, exchange: exchange}, nil
}

func (s *session) startAuth(mechanism string) (sasl.Exchange, *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tx != nil {
		return nil, refuse(reasonSequence, 503, 5, 5, 1, "AUTH is not allowed during a mail transaction")
	}
	// Counted at the start, so that a login which the client breaks off counts as well.
	s.logins++
	if s.logins > maxLogins {
		return nil, tooManyLogins()
	}
	exchange, err := s.mechanisms.Start(mechanism, s.saslClient())
	if err != nil {
		return nil, refuse(reasonLogin, 504, 5, 5, 4, s.notOffered(mechanism))
	}
	return exchange, nil
}

// notOffered says which mechanisms there are, and what is wrong with a certificate that did not
// bring about EXTERNAL.
func (s *session) notOffered(mechanism string) string {
	text := "Mechanism not offered: use one of " + strings.Join(s.AuthMechanisms(), ", ")
	switch {
	case s.certificate == nil || !strings.EqualFold(mechanism, gosasl.External):
		return text
	case s.certificate.vouched():
		return text + "; the client certificate has no name that a user could have"
	}
	return text + "; the client certificate has ended, or none of the CAs of users signed it as one of a client"
}

func tooManyLogins() *refusal {
	return refuse(reasonLogin, 421, 4, 7, 0, "Too many failed logins on this connection").andHangUp()
}

// login is one AUTH command under way.
type login struct {
	session   *session
	mechanism string
	exchange  sasl.Exchange
	// failed is the reply to give once the client has answered the mechanism's own word on
	// its failure.
	failed error
}

// Next implements go-sasl's Server.
func (l *login) Next(response []byte) (challenge []byte, done bool, err error) {
	if l.failed != nil {
		return nil, false, l.failed
	}
	challenge, done, err = l.exchange.Next(response)
	switch {
	case err != nil && challenge != nil:
		l.failed = l.session.loginFailed(l, err)
		return challenge, false, nil
	case err != nil:
		return nil, false, l.session.loginFailed(l, err)
	case done:
		l.session.loggedIn(l)
	}
	return challenge, done, nil
}

func (s *session) loggedIn(l *login) {
	s.mu.Lock()
	s.user, s.holds = l.exchange.User(), l.exchange.Holds
	s.mu.Unlock()
	s.metrics.logins.WithLabelValues(loginOK, l.mechanism).Inc()
	s.log.Debug("logged in", s.about("mechanism", l.mechanism)...)
	s.noteIfReplaced(l)
	s.open.add(s)
	// The users may have changed since the login was checked.
	s.endIfRevoked()
}

// loginFailed turns the error of a mechanism into a reply (RFC 4954 §6). Trouble of our own
// must not look like a wrong password: clients then forget theirs.
func (s *session) loginFailed(l *login, err error) error {
	result, r := loginUnavailable, refuse(reasonInternal, 454, 4, 7, 0, "Logins are not possible at the moment: try again later")
	switch {
	case errors.Is(err, sasl.ErrCredentials):
		result, r = loginRefused, refuse(reasonLogin, 535, 5, 7, 8, s.invalidCredentials())
		if s.lastLogin() {
			r = tooManyLogins()
		}
		s.pause(s.failures.Record(l.exchange.User(), s.client))
	case errors.Is(err, sasl.ErrUnknownKey):
		// Anyone can make such a token, so it is held back as a wrong one is.
		result = loginUnverified
		s.pause(s.failures.Record(l.exchange.User(), s.client))
	case errors.Is(err, sasl.ErrNeedsSecret):
		result, r = loginRefused, refuse(reasonLogin, 534, 5, 7, 9,
			"The certificate alone is not enough for this user: log in with its password or token on this connection")
	case errors.Is(err, sasl.ErrMalformed):
		result, r = loginMalformed, refuse(reasonLogin, 501, 5, 5, 2, "The response does not follow the mechanism "+l.mechanism)
	}
	s.metrics.logins.WithLabelValues(result, l.mechanism).Inc()
	s.log.Warn("login failed", s.about("mechanism", l.mechanism, "claimed_user", config.Clip(l.exchange.User()), "error", err)...)
	return s.say(r)
}

// invalidCredentials says the same of every user. Which of them need a certificate as well
// would tell who exists, and whether the password was right.
func (s *session) invalidCredentials() string {
	if s.config().TLS.ClientCAFile == "" {
		return "Authentication credentials invalid"
	}
	return "Authentication credentials invalid, or the client certificate that some users need as well is missing"
}

// lastLogin reports whether the client has no further try.
func (s *session) lastLogin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins >= maxLogins
}
