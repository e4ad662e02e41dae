package delivery

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
)

// maxCommandLine is the longest command line (RFC 5321 §4.5.3.1.4), which an initial
// response counts towards (RFC 4954 §4).
const maxCommandLine = 512

// Mechanisms that the relay can log in with, the best first.
var mechanisms = []string{"PLAIN", "LOGIN"}

// authenticate logs in (RFC 4954), when there are credentials to log in with.
func (d *dialer) authenticate(c *connection) *Error {
	user, password := d.upstream.Username, d.upstream.Password
	if user == "" && password == "" {
		return nil
	}
	if strings.ContainsRune(user+password, 0) {
		return notAuthenticated(errors.New("the user name or the password has a NUL octet"))
	}
	mechanism, err := chooseMechanism(d.upstream.Auth.Mechanism, c.extensions)
	if err != nil {
		return notAuthenticated(err)
	}
	login := c.plain
	if mechanism == "LOGIN" {
		login = c.login
	}
	answer, failure := login(user, password)
	if failure != nil {
		return failure
	}
	if answer.code == 235 {
		return nil
	}
	return redact(classify(StepAUTH, answer), user, password)
}

// chooseMechanism picks the configured mechanism, or the best that is offered.
func chooseMechanism(configured string, offered extensions) (string, error) {
	list := strings.Fields(strings.ToUpper(offered["AUTH"]))
	for _, mechanism := range mechanisms {
		wanted := configured == "" || strings.EqualFold(configured, mechanism)
		if wanted && slices.Contains(list, mechanism) {
			return mechanism, nil
		}
	}
	wanted := configured
	if wanted == "" {
		wanted = strings.Join(mechanisms, " or ")
	}
	if len(list) == 0 {
		return "", errors.New("the upstream does not offer AUTH, so that the relay cannot log in")
	}
	return "", errors.New("the upstream does not offer AUTH " + wanted + "; it offers " + oneLine(strings.Join(list, " ")))
}

// plain is RFC 4616.
func (c *connection) plain(user, password string) (reply, *Error) {
	response := encode("\x00" + user + "\x00" + password)
	if len("AUTH PLAIN ")+len(response)+len("\r\n") <= maxCommandLine {
		return c.finishAuth(c.command(StepAUTH, "AUTH PLAIN "+response))
	}
	answer, failure := c.command(StepAUTH, "AUTH PLAIN")
	return c.respond(answer, failure, response)
}

// login is the mechanism of draft-murchison-sasl-login: user name, then password.
func (c *connection) login(user, password string) (reply, *Error) {
	answer, failure := c.command(StepAUTH, "AUTH LOGIN")
	return c.respond(answer, failure, encode(user), encode(password))
}

// respond answers one challenge after the other.
func (c *connection) respond(answer reply, failure *Error, responses ...string) (reply, *Error) {
	for _, response := range responses {
		if failure != nil || answer.code != 334 {
			return answer, failure
		}
		answer, failure = c.command(StepAUTH, response)
	}
	return c.finishAuth(answer, failure)
}

// finishAuth cancels an exchange in which the upstream asks for more than there is.
func (c *connection) finishAuth(answer reply, failure *Error) (reply, *Error) {
	if failure == nil && answer.code == 334 {
		return c.command(StepAUTH, "*")
	}
	return answer, failure
}

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func notAuthenticated(err error) *Error {
	return &Error{Class: ClassAuthentication, Step: StepAUTH, Text: err.Error(), Temporary: true, Err: err}
}

// redact takes the password out of what an upstream echoed.
func redact(e *Error, user, password string) *Error {
	for _, secret := range []string{encode("\x00" + user + "\x00" + password), encode(password), password} {
		if secret != "" {
			e.Text = strings.ReplaceAll(e.Text, secret, "<redacted>")
		}
	}
	return e
}
