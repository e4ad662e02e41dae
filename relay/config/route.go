package config

import (
	"fmt"
	"slices"
)

// Route sends some of the mail to some of the upstreams.
type Route struct {
	// Senders are the addresses ("app@example.com"), domains ("example.com") and sub-domains
	// ("*.example.com") of the reverse-path that the route is for; "<>" is the null
	// reverse-path. All when empty.
	Senders []string `yaml:"senders,omitempty"`
	// Recipients are those that the route is for, written in the same way. All when empty.
	Recipients []string `yaml:"recipients,omitempty"`
	// Upstreams are the names of those that the mail goes to.
	Upstreams []string `yaml:"upstreams"`
}

// Matches reports whether the route is for a recipient of a message from a reverse-path.
func (r *Route) Matches(reversePath, recipient string) bool {
	if reversePath == "" {
		reversePath = NullSender
	}
	return coveredByAny(r.Senders, reversePath) && coveredByAny(r.Recipients, recipient)
}

// coveredByAny reports whether an address is in a list, in which nothing stands for all.
func coveredByAny(list []string, address string) bool {
	return len(list) == 0 || slices.ContainsFunc(list, func(entry string) bool { return Covers(entry, address) })
}

// catchesAll reports whether nothing gets past the route.
func (r *Route) catchesAll() bool { return len(r.Senders) == 0 && len(r.Recipients) == 0 }

func (c *Config) validateRoutes(k *checker) {
	for i := range c.Routes {
		c.Routes[i].validate(k, fmt.Sprintf("routes[%d].", i), c.Upstreams)
		if c.Routes[i].catchesAll() && i < len(c.Routes)-1 {
			k.failf(fmt.Sprintf("routes[%d]", i), "matches all mail, so that the routes after it are never used: move it to the end, or write senders or recipients")
		}
	}
	if len(c.Routes) == 0 || c.Routes[len(c.Routes)-1].catchesAll() {
		return
	}
	routed := func(u Upstream) bool {
		return slices.ContainsFunc(c.Routes, func(r Route) bool { return slices.Contains(r.Upstreams, u.Name) })
	}
	if !slices.ContainsFunc(c.Upstreams, func(u Upstream) bool { return !routed(u) }) {
		k.failf("routes", "mail that no route matches has nowhere to go, since all upstreams are named in routes: add a last route without senders and recipients")
	}
}

func (r *Route) validate(k *checker, prefix string, upstreams []Upstream) {
	for i, sender := range r.Senders {
		if sender != NullSender && !IsPattern(sender) {
			k.failf(fmt.Sprintf("%ssenders[%d]", prefix, i),
				"%q is not a sender: write an address such as app@example.com, a domain such as example.com, \"*.example.com\" for its sub-domains or \"<>\" for the null sender", sender)
		}
	}
	for i, recipient := range r.Recipients {
		if !IsPattern(recipient) {
			k.failf(fmt.Sprintf("%srecipients[%d]", prefix, i),
				"%q is not a recipient: write an address such as bob@example.net, a domain such as example.net or \"*.example.net\" for its sub-domains", recipient)
		}
	}
	if len(r.Upstreams) == 0 {
		k.failf(prefix+"upstreams", "missing: write the names of the upstreams that this mail goes to")
	}
	for i, name := range r.Upstreams {
		if !slices.ContainsFunc(upstreams, func(u Upstream) bool { return u.Name == name }) {
			k.failf(fmt.Sprintf("%supstreams[%d]", prefix, i), "%q is not the name of an upstream", name)
		}
	}
}
