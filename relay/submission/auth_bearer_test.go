package submission

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/sasl"
)

const (
	withTokens = "PLAIN LOGIN SCRAM-SHA-256 OAUTHBEARER XOAUTH2"
	testToken  = "a-token.for~this+test/only="
)

// hasToken gives the user a token besides the password.
func hasToken(f *fixture) {
	sum := sha256.Sum256([]byte(testToken))
	f.users.Replace(map[string]config.User{testUser: {
		Name: testUser, Passwords: []config.Verifier{testVerifier()}, Senders: []string{"example.com"},
		Tokens: []string{hex.EncodeToString(sum[:])},
	}})
}

func oauthBearer(user, token string) string {
	return "AUTH OAUTHBEARER " + b64("n,a="+user+",\x01host=relay.test\x01port=465\x01auth=Bearer "+token+"\x01\x01")
}

func xoauth2(user, token string) string {
	return "AUTH XOAUTH2 " + b64("user="+user+"\x01auth=Bearer "+token+"\x01\x01")
}

func TestBearerTokensLogIn(t *testing.T) {
	t.Parallel()
	f, submissions, _ := behindFrontDoor(t, hasToken)
	f.address = submissions
	for _, command := range []string{oauthBearer(testUser, testToken), xoauth2(testUser, testToken)} {
		c := f.connect()
		if got := c.offered(); got != withTokens {
			t.Errorf("offered: %s", got)
		}
		c.do(command, "235 2.7.0 ")
		c.do("MAIL FROM:<app@example.com>", "250 ")
	}
	if log := f.log.String(); strings.Contains(log, testToken) {
		t.Errorf("the log shows the token:\n%s", log)
	}
}

// TestRefusedTokenIsExplainedFirst: the explanation is a challenge, and clients answer it
// with the 0x01 of RFC 7628, with an empty line as msmtp does, or with a cancellation.
func TestRefusedTokenIsExplainedFirst(t *testing.T) {
	t.Parallel()
	f, submissions, _ := behindFrontDoor(t, hasToken)
	f.address = submissions
	for command, explanation := range map[string]string{
		oauthBearer(testUser, "wrong"): "334 " + b64(`{"status":"invalid_token"}`),
		xoauth2(testUser, "wrong"):     "334 " + b64(`{"status":"401","schemes":"bearer"}`),
		oauthBearer("root", testToken): "334 " + b64(`{"status":"invalid_token"}`),
	} {
		for answer, want := range map[string]string{
			"AQ==": "535 5.7.8 Authentication credentials invalid", "": "535 5.7.8 ", "=": "535 5.7.8 ", "*": "501 5.7.0 ",
		} {
			c := f.connect()
			c.do(command, explanation)
			c.do(answer, want)
			c.do("MAIL FROM:<app@example.com>", "530 5.7.0 ")
			c.do(xoauth2(testUser, testToken), "235 ")
		}
	}
}

func TestMalformedTokenIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	f := start(t, hasToken)
	c := f.connect()
	c.do("AUTH OAUTHBEARER "+b64("user="+testUser+"\x01auth=Bearer x\x01\x01"), "501 5.5.2 ")
	c.do("AUTH XOAUTH2 "+b64("n,,\x01auth=Bearer x\x01\x01"), "501 5.5.2 ")
	c.do("AUTH XOAUTH2", "334 ")
	c.do("", "501 5.5.2 ")
}

// validator takes one token of any length, or fails.
type validator struct {
	token string
	err   error
}

func (validator) HaveTokens() bool { return true }

func (v validator) ValidateToken(token, _ string) (sasl.Owner, error) {
	switch {
	case v.err != nil:
		return sasl.Owner{}, v.err
	case token != v.token:
		return sasl.Owner{}, sasl.ErrCredentials
	}
	return sasl.Owner{User: testUser, Still: func(*config.User) bool { return true }}, nil
}

func TestTroubleOfTheTokenValidatorIsTemporary(t *testing.T) {
	t.Parallel()
	f, submissions, _ := behindFrontDoor(t, func(f *fixture) { f.tokens = validator{err: errors.New("issuer at 192.0.2.7 is away")} })
	f.address = submissions
	c := f.connect()
	for range maxLogins {
		if got := c.do(xoauth2(testUser, "x"), "454 4.7.0 "); strings.Contains(got, "192.0.2.7") {
			t.Errorf("the reply tells internals: %s", got)
		}
	}
	if f.value("mailrelay_auth_total", "XOAUTH2 unavailable") != maxLogins {
		t.Error("the logins were not counted")
	}
}

// TestTokenOfAnUnknownKeyIsHeldBackLikeAWrongOne: anyone can make one, and guesses must not be
// for free because they look like trouble.
func TestTokenOfAnUnknownKeyIsHeldBackLikeAWrongOne(t *testing.T) {
	t.Parallel()
	held := &pauses{}
	f, submissions, _ := behindFrontDoor(t, func(f *fixture) {
		f.tokens, f.pause = validator{err: fmt.Errorf("%w: \"k\"", sasl.ErrUnknownKey)}, held.pause
	})
	f.address = submissions
	c := f.connect()
	for range maxLogins {
		c.do(xoauth2(testUser, "x"), "454 4.7.0 ")
	}
	c.do(xoauth2(testUser, "x"), "421 4.7.0 ")
	c.expectClosed()
	if got, want := held.take(), []time.Duration{0, 0, 0, 500 * time.Millisecond, time.Second}; !slices.Equal(got, want) {
		t.Errorf("held back for %v, want %v", got, want)
	}
	if f.value("mailrelay_auth_total", "XOAUTH2 unverified") != maxLogins {
		t.Error("the logins were not counted by themselves")
	}
}

// TestLongTokens: RFC 4954 §4 wants lines of 12,288 octets, which Kubernetes and Microsoft
// tokens come near to.
func TestLongTokens(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 12288/4*3-60)
	f, submissions, _ := behindFrontDoor(t, func(f *fixture) { f.tokens = validator{token: long} })
	f.address = submissions
	f.connect().do(xoauth2(testUser, long), "235 ")
	c := f.connect()
	c.do("AUTH XOAUTH2", "334 ")
	c.do(strings.TrimPrefix(xoauth2(testUser, long), "AUTH XOAUTH2 "), "235 ")

	c = f.connect()
	c.do("AUTH XOAUTH2", "334 ")
	c.do(strings.Repeat("eHh4", 5000), "500 5.5.6 ")
	c.expectClosed()
}
