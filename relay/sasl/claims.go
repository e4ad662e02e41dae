package sasl

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// leeway is how far the clocks of issuer and relay may be apart.
const leeway = time.Minute

// claims are those of a token that matter.
type claims struct {
	jwt.Claims
	Kubernetes struct {
		Namespace      string `json:"namespace"`
		ServiceAccount struct {
			Name string `json:"name"`
		} `json:"serviceaccount"`
	} `json:"kubernetes.io"`
}

// serviceAccountPrefix begins the subjects that Kubernetes makes; namespace and name follow.
const serviceAccountPrefix = "system:serviceaccount:"

// check refuses what is not for here and now. The issuer cannot be compared while it is not known.
func (c *claims) check(trust Trust, now time.Time) error {
	expected := jwt.Expected{AnyAudience: jwt.Audience{trust.Audience}, Time: now}
	if trust.Keys != nil {
		expected.Issuer = trust.Keys.Issuer
	}
	switch err := c.ValidateWithLeeway(expected, leeway); {
	case trust.Audience == "" || errors.Is(err, jwt.ErrInvalidAudience):
		return fmt.Errorf("%w: the token is not for this relay, %q, but for %q", ErrCredentials, trust.Audience, config.Clip(strings.Join(c.Audience, " ")))
	case errors.Is(err, jwt.ErrInvalidIssuer):
		return fmt.Errorf("%w: the token is of another issuer, %q", ErrCredentials, config.Clip(c.Issuer))
	case errors.Is(err, jwt.ErrExpired):
		return fmt.Errorf("%w: the token expired at %s", ErrCredentials, c.Expiry.Time().UTC().Format(time.RFC3339))
	case err != nil:
		return fmt.Errorf("%w: the token is not valid yet (nbf, iat): it is for later, or the clocks of issuer and relay differ", ErrCredentials)
	case c.Expiry == nil:
		return fmt.Errorf("%w: the token never expires", ErrCredentials)
	}
	if account, ok := strings.CutPrefix(c.Subject, serviceAccountPrefix); ok && account != c.Kubernetes.Namespace+":"+c.Kubernetes.ServiceAccount.Name {
		return fmt.Errorf("%w: subject and service account of the token differ", ErrCredentials)
	}
	return nil
}
