package config

import "fmt"

// Recipients says to whom users may send. Entries are addresses ("bob@example.net"), domains
// ("example.net") and sub-domains ("*.example.net").
type Recipients struct {
	// Allow has all that may be sent to; empty means everybody.
	Allow []string `yaml:"allow,omitempty"`
	// Deny has what may not be sent to, also where Allow has it.
	Deny []string `yaml:"deny,omitempty"`
}

func (r *Recipients) validate(k *checker, prefix string) {
	for _, list := range []struct {
		name    string
		entries []string
	}{{"allow", r.Allow}, {"deny", r.Deny}} {
		for i, entry := range list.entries {
			if !IsPattern(entry) {
				k.failf(fmt.Sprintf("%s%s[%d]", prefix, list.name, i),
					"%q is no recipient: write an address such as bob@example.net, a domain such as example.net or \"*.example.net\" for its sub-domains", entry)
			}
		}
	}
}
