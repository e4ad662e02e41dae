package delivery

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"
)

// maxDescription bounds what a token endpoint says of an error.
const maxDescription = 200

// errNoToken is the cause of errors of a token endpoint.
var errNoToken = errors.New("no token")

// mending says what to do about the error codes of RFC 6749 §5.2.
var mending = map[string]string{
	"invalid_client":         "check the client ID and the client secret, which may have expired",
	"invalid_grant":          "the refresh token has expired or was withdrawn: allow the relay access again and store the new one",
	"unauthorized_client":    "the client is not allowed this: check how it is registered",
	"invalid_scope":          "check the scopes",
	"invalid_request":        "check the token URL and the scopes",
	"unsupported_grant_type": "check whether a refresh token is needed",
}

// notNow are the error codes and the statuses of an endpoint that has a trouble of its own
// (RFC 6749 §4.1.2.1, RFC 8628 §3.5).
var (
	notNow       = []string{"temporarily_unavailable", "server_error", "slow_down"}
	notNowStatus = []int{http.StatusRequestTimeout, http.StatusTooManyRequests}
)

// explain makes an error of a token that could not be had. That the endpoint refuses the
// credentials is as if the upstream did, and only new ones help. Any other trouble passes, and
// says nothing about the credentials. The error is not wrapped: it has the endpoint's answer.
func (s *tokenSource) explain(err error) *Error {
	endpoint := "the token endpoint " + s.host()
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		// The request's error repeats the URL, which may say more than the host.
		if request := (*url.Error)(nil); errors.As(err, &request) {
			err = request.Err
		}
		return s.failure(ClassConnect, endpoint+" gave no token: "+s.hide(err.Error()))
	}
	code, status := s.hide(answer.ErrorCode), answer.Response.StatusCode
	switch {
	case status >= 500 || slices.Contains(notNowStatus, status) || slices.Contains(notNow, code):
		return s.failure(ClassConnect, fmt.Sprintf("%s has trouble: %d %s", endpoint, status, code))
	case code == "":
		return s.failure(ClassAuthentication, fmt.Sprintf("%s answers %d, and not with a token: check the token URL", endpoint, status))
	}
	text := endpoint + " refuses the credentials: " + code
	if advice := mending[code]; advice != "" {
		text += " (" + advice + ")"
	}
	if said := oneLine(s.hide(answer.ErrorDescription)); said != "" {
		text += ": " + said[:min(len(said), maxDescription)]
	}
	return s.failure(ClassAuthentication, text)
}

func (s *tokenSource) failure(class Class, text string) *Error {
	return &Error{Class: class, Step: StepAUTH, Temporary: true, Text: oneLine(text), Err: errNoToken}
}

func (s *tokenSource) host() string {
	u, err := url.Parse(s.request.TokenURL)
	if err != nil {
		return ""
	}
	return u.Host
}

// hide takes out of a text what no error may show.
func (s *tokenSource) hide(text string) string {
	return hide(text, s.request.ClientSecret, s.upstream.RefreshToken, s.request.EndpointParams.Get(refreshToken))
}

// checkToken wants a token that can be written between the fields of a login.
func checkToken(token *oauth2.Token) error {
	if strings.ContainsFunc(token.AccessToken, notInToken) {
		return errors.New("what it calls a token has characters that no token has (RFC 6750 §2.1)")
	}
	return nil
}

// notInToken is more generous than RFC 6750 §2.1, which knows letters, digits and -._~+/= only.
func notInToken(r rune) bool { return r <= ' ' || r >= 0x7f }
