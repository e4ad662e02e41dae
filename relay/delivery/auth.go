package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// authenticate logs in (RFC 4954), when there is something to log in with.
func (d *dialer) authenticate(ctx context.Context, c *connection) *Error {
	name, err := chooseMechanism(d.upstream.Auth.Mechanism, d.usableMechanisms(), c.extensions)
	switch {
	case err != nil:
		return notAuthenticated(err)
	case name == "":
		return nil
	case name == config.AuthOAuthBearer || name == config.AuthXOAuth2:
		return d.logInWithToken(ctx, c, name)
	}
	login, password := d.upstream.Login, d.upstream.Password
	if strings.ContainsRune(login.Username+password, 0) {
		return notAuthenticated(errors.New("the user name or the password has a NUL octet"))
	}
	var m mechanism
	switch name {
	case config.AuthPlain:
		m = plain(login.Username, password)
	case config.AuthLogin:
		m = &prepared{name: name, responses: []string{login.Username, password}}
	case config.AuthExternal:
		m = &prepared{name: name, initiates: true, responses: []string{login.Username}}
	default:
		m, err = newSCRAM(login.Username, password)
	}
	if err != nil {
		return notAuthenticated(err)
	}
	return c.logIn(m, password)
}

// mustLogIn reports whether an upstream that does not offer AUTH cannot be used.
func (d *dialer) mustLogIn() bool {
	_, err := chooseMechanism(d.upstream.Auth.Mechanism, d.usableMechanisms(), nil)
	return err != nil
}

// usableMechanisms are those that can be used with the credentials, the best first. A client
// certificate comes last: when there is also a password, the upstream probably wants both.
func (d *dialer) usableMechanisms() []string {
	u := &d.upstream
	var names []string
	switch {
	case u.Auth.OAuth2.Enabled():
		names = []string{config.AuthOAuthBearer, config.AuthXOAuth2}
	case u.Password != "":
		if _, err := newSCRAM(u.Username, u.Password); err == nil {
			names = append(names, config.AuthSCRAM)
		}
		names = append(names, config.AuthPlain, config.AuthLogin)
	}
	if u.ClientCertificate != nil {
		names = append(names, config.AuthExternal)
	}
	return names
}

// chooseMechanism picks the configured mechanism, or the best that is both usable and offered;
// none when there is nothing to log in with. A client certificate alone does not need one: the
// TLS handshake has shown it already.
func chooseMechanism(configured string, usable []string, offered extensions) (string, error) {
	list := strings.Fields(strings.ToUpper(offered["AUTH"]))
	for _, name := range usable {
		if (configured == "" || configured == name) && slices.Contains(list, name) {
			return name, nil
		}
	}
	switch {
	case configured == "" && (len(usable) == 0 || slices.Equal(usable, []string{config.AuthExternal})):
		return "", nil
	case configured != "" && !slices.Contains(usable, configured):
		return "", fmt.Errorf("AUTH %s cannot be used with the credentials that are set; %s can", configured, orNone(usable))
	case len(list) == 0:
		return "", errors.New("the upstream does not offer AUTH, so that the relay cannot log in")
	case configured != "":
		usable = []string{configured}
	}
	return "", fmt.Errorf("the upstream does not offer AUTH %s; it offers %s",
		strings.Join(usable, " or "), oneLine(strings.Join(list, " ")))
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " or ")
}

func notAuthenticated(err error) *Error {
	return &Error{Class: ClassAuthentication, Step: StepAUTH, Text: oneLine(err.Error()), Temporary: true, Err: err}
}
