package delivery

import (
	"encoding/base64"
	"fmt"
	"strings"
)

const (
	// maxCommandLine is the longest command line (RFC 5321 §4.5.3.1.4), which an initial
	// response counts towards (RFC 4954 §4).
	maxCommandLine = 512
	// maxAuthLine is the longest line of an exchange that servers have to take (RFC 4954 §4).
	maxAuthLine = 12288
)

// mechanism is the client's side of a SASL mechanism (RFC 4422), for one login.
type mechanism interface {
	// start returns the mechanism's name and its initial response; ok is false when the
	// upstream speaks first.
	start() (name, response string, ok bool)
	// next answers a challenge, which is in base64. An error ends the exchange.
	next(challenge string) (response string, failure *Error)
	// end is asked once the upstream says that the login succeeded. An error means that it
	// must not be believed.
	end() *Error
}

// exchange is one run of a mechanism.
type exchange struct {
	*connection
	mechanism mechanism
	// sent are the responses, to be taken out of what the upstream echoes.
	sent []string
}

// logIn runs a mechanism (RFC 4954 §4). secret is what the login proves to have.
func (c *connection) logIn(m mechanism, secret string) *Error {
	x := &exchange{connection: c, mechanism: m}
	answer, failure := x.run()
	secrets := append(x.sent, secret, encode(secret))
	switch {
	case failure != nil:
	case answer.code == 235:
		failure = m.end()
	default:
		for i := range answer.lines {
			answer.lines[i] = hide(answer.lines[i], secrets...)
		}
		failure = classify(StepAUTH, answer)
	}
	return redact(failure, secrets...)
}

// run returns the reply that ends the exchange. Its length is bounded by the mechanism, which
// knows how much it has to say.
func (x *exchange) run() (reply, *Error) {
	name, initial, pending := x.mechanism.start()
	line := "AUTH " + name
	if encoded := encodeInitial(initial); pending && len(line)+len(" ")+len(encoded)+len("\r\n") <= maxCommandLine {
		line, pending = line+" "+encoded, false
		x.sent = append(x.sent, encoded)
	}
	answer, failure := x.command(StepAUTH, line)
	for failure == nil && answer.code == 334 {
		response := initial
		if !pending {
			var refused *Error
			if response, refused = x.mechanism.next(strings.TrimSpace(answer.lines[0])); refused != nil {
				return x.cancel(refused)
			}
		}
		pending = false
		answer, failure = x.respond(response)
	}
	return answer, failure
}

func (x *exchange) respond(response string) (reply, *Error) {
	encoded := encode(response)
	if len(encoded)+len("\r\n") > maxAuthLine {
		return x.cancel(notAuthenticated(fmt.Errorf("the credentials are too long for SMTP: %d octets, which makes a line longer than %d (RFC 4954 §4)",
			len(response), maxAuthLine)))
	}
	x.sent = append(x.sent, encoded)
	return x.command(StepAUTH, encoded)
}

// cancel ends an exchange that makes no sense (RFC 4954 §4). What the upstream says to that
// changes nothing.
func (x *exchange) cancel(why *Error) (reply, *Error) {
	_, _ = x.command(StepAUTH, "*")
	return reply{}, why
}

// prepared is a mechanism whose responses do not depend on the challenges.
type prepared struct {
	name string
	// initiates means that the first response may go out with AUTH.
	initiates bool
	responses []string
}

func plain(user, password string) mechanism {
	return &prepared{name: "PLAIN", initiates: true, responses: []string{"\x00" + user + "\x00" + password}}
}

func (p *prepared) start() (name, response string, ok bool) {
	if p.initiates {
		response, _ = p.next("")
	}
	return p.name, response, p.initiates
}

func (p *prepared) next(string) (string, *Error) {
	if len(p.responses) == 0 {
		return "", nonsense("the upstream asks for more than AUTH " + p.name + " has to say")
	}
	response := p.responses[0]
	p.responses = p.responses[1:]
	return response, nil
}

func (p *prepared) end() *Error { return nil }

// nonsense is an exchange that does not follow the mechanism. Whether the credentials are right
// it does not tell.
func nonsense(text string) *Error {
	return &Error{Class: ClassConnect, Step: StepAUTH, Text: oneLine(text), Temporary: true}
}

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// encodeInitial writes an empty initial response as RFC 4954 §4 wants it.
func encodeInitial(s string) string {
	if s == "" {
		return "="
	}
	return encode(s)
}

// redact takes secrets out of an error, which may tell what an upstream echoed.
func redact(e *Error, secrets ...string) *Error {
	if e != nil {
		e.Text = hide(e.Text, secrets...)
	}
	return e
}

// hide takes secrets out of a text. It comes before anything that shortens the text: a part of
// a secret would not be found.
func hide(text string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) > 1 {
			text = strings.ReplaceAll(text, secret, "<redacted>")
		}
	}
	return text
}
