// Package provider knows the mail providers that are often used as upstreams: where they take
// mail, what they allow, and which of their replies mean something else than they say.
package provider

import (
	"slices"
	"strings"
	"time"
)

// Provider is what is known of a mail provider.
type Provider struct {
	// Name is what it is called in a configuration, in lower case.
	Name string
	// Title is what it calls itself.
	Title string
	// Host that takes mail, empty where it differs from customer to customer.
	Host string
	// HostExample shows what such a host looks like.
	HostExample string
	// Implicit is the port for TLS from the first byte, zero when there is none.
	Implicit int
	// StartTLS is the port for STARTTLS, zero when there is none.
	StartTLS int
	// Mechanism is the SASL mechanism for a password, empty when the best that is offered will
	// do.
	Mechanism string
	// Login says what user name and password are.
	Login string
	// Setup says what the customer has to set and to do.
	Setup string
	// Limits that the provider is known to have.
	Limits Limits
	// UnsignedHeaders are header fields that it changes, so that a DKIM signature must not
	// cover them.
	UnsignedHeaders []string
	// Rules classify its replies. They come before those for all upstreams.
	Rules []Rule
	// Unconfirmed says what of this could not be confirmed, empty when everything was.
	Unconfirmed string
}

// Limits of a provider. Zero is not known, or none.
type Limits struct {
	// Connections at once.
	Connections int
	// MessagesPerConnection before it is closed.
	MessagesPerConnection int
	// RecipientsPerMessage in one transaction.
	RecipientsPerMessage int
	// Rates all hold.
	Rates []Rate
}

// Rate is how many messages or recipients there may be in any period. Zero is no bound.
type Rate struct {
	Messages   int
	Recipients int
	Period     time.Duration
}

// Rule gives a class to replies of an upstream. Empty fields match all.
type Rule struct {
	// Step is the step of the session: greeting, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA,
	// content or end of data.
	Step string
	// Code is a reply code, or its first digit or two.
	Code int
	// Enhanced is an enhanced status code (RFC 3463) without its class, or the start of one:
	// "7." are all of X.7.Y.
	Enhanced string
	// Text is in the reply, in upper case.
	Text string
	// Class of error: connect, tls, authentication, throttle, sender, message or recipient.
	Class string
	// Temporary makes a 5xx reply one that is tried again.
	Temporary bool
}

// Matches reports whether the rule is about a reply at a step of a session.
func (r *Rule) Matches(step string, code int, enhanced, text string) bool {
	if r.Step != "" && r.Step != step {
		return false
	}
	if r.Code != 0 && r.Code != code && r.Code != code/10 && r.Code != code/100 {
		return false
	}
	if r.Enhanced != "" {
		_, detail, _ := strings.Cut(enhanced, ".")
		whole := !strings.HasSuffix(r.Enhanced, ".")
		if whole && detail != r.Enhanced || !strings.HasPrefix(detail, r.Enhanced) {
			return false
		}
	}
	return r.Text == "" || strings.Contains(strings.ToUpper(text), r.Text)
}

// Lookup returns the provider of a name, nil when there is none.
func Lookup(name string) *Provider {
	i := slices.IndexFunc(providers, func(p Provider) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &providers[i]
}

// ReplyRules are the provider's Rules; none for nil, an upstream without a preset.
func (p *Provider) ReplyRules() []Rule {
	if p == nil {
		return nil
	}
	return p.Rules
}

// Names are those of all providers, sorted.
func Names() []string {
	names := make([]string, len(providers))
	for i := range providers {
		names[i] = providers[i].Name
	}
	slices.Sort(names)
	return names
}
