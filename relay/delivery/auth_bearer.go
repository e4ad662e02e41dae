package delivery

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// logInWithToken logs in with a token. When one that was kept is refused, it is tried once more
// with a new one: tokens can be withdrawn before their time.
func (d *dialer) logInWithToken(ctx context.Context, c *connection, name string) *Error {
	tokens := d.tokens
	if tokens == nil {
		tokens = newTokenSource(d.upstream, systemClock{})
	}
	var failure *Error
	for range 2 {
		token, kept, missing := tokens.get(ctx)
		if missing != nil {
			return missing
		}
		m := d.bearer(name, token)
		failure = m.explain(c.logIn(m, token), token)
		if failure == nil || failure.Class != ClassAuthentication {
			return failure
		}
		tokens.drop(token)
		if !kept || c.broken {
			return failure
		}
	}
	return failure
}

// bearer is OAUTHBEARER (RFC 7628) or XOAUTH2, which differ in how they are written.
type bearer struct {
	name, response string
	// acknowledgement is what an explained refusal is answered with, so that its reply comes.
	acknowledgement string
	// explained means that the upstream gave its reason, which is reason where it can be read.
	explained bool
	reason    string
}

func (d *dialer) bearer(name, token string) *bearer {
	u := &d.upstream
	if name == config.AuthXOAuth2 {
		return &bearer{name: name, response: "user=" + u.Username + "\x01auth=Bearer " + token + "\x01\x01"}
	}
	return &bearer{
		name: name,
		response: "n,a=" + escapeName.Replace(u.Username) + ",\x01host=" + u.Host + "\x01port=" + strconv.Itoa(u.Port) +
			"\x01auth=Bearer " + token + "\x01\x01",
		acknowledgement: "\x01",
	}
}

// escapeName makes a saslname (RFC 5801 §4).
var escapeName = strings.NewReplacer(",", "=2C", "=", "=3D")

func (b *bearer) start() (name, response string, ok bool) { return b.name, b.response, true }

// next takes the reason of a refusal (RFC 7628 §3.2.2), which is JSON.
func (b *bearer) next(challenge string) (string, *Error) {
	if b.explained {
		return "", nonsense("the upstream goes on after it refused the token")
	}
	b.explained = true
	var refusal struct {
		Status string `json:"status"`
	}
	decoded, err := base64.StdEncoding.DecodeString(challenge)
	if err == nil && json.Unmarshal(decoded, &refusal) == nil {
		b.reason = refusal.Status
	}
	return b.acknowledgement, nil
}

// end refuses a success after a refusal.
func (b *bearer) end() *Error {
	if b.explained {
		return nonsense("the upstream refused the token and then accepted the login")
	}
	return nil
}

// explain adds the upstream's reason to the error of a login.
func (b *bearer) explain(e *Error, token string) *Error {
	if e != nil && b.reason != "" {
		e.Text = oneLine(e.Text + " (the upstream says of the token: " + hide(b.reason, token, encode(token)) + ")")
	}
	return e
}
