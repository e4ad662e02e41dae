package config

import (
	"strings"
	"testing"
)

func TestRouteMatchesSenderAndRecipient(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                   string
		route                  Route
		reversePath, recipient string
		want                   bool
	}{
		{"all", Route{}, "app@example.com", "bob@example.net", true},
		{"sender domain", Route{Senders: []string{"example.com"}}, "app@example.com", "bob@example.net", true},
		{"other sender domain", Route{Senders: []string{"example.org"}}, "app@example.com", "bob@example.net", false},
		{"sub-domain", Route{Senders: []string{"*.example.com"}}, "app@eu.example.com", "bob@example.net", true},
		{"not below itself", Route{Senders: []string{"*.example.com"}}, "app@example.com", "bob@example.net", false},
		{"recipient domain, any case", Route{Recipients: []string{"example.net"}}, "app@example.com", "Bob@EXAMPLE.net", true},
		{"both must hold", Route{Senders: []string{"example.com"}, Recipients: []string{"example.org"}}, "app@example.com", "bob@example.net", false},
		{"one of several", Route{Recipients: []string{"example.org", "bob@example.net"}}, "", "bob@example.net", true},
		{"null sender asked for", Route{Senders: []string{"<>"}}, "", "bob@example.net", true},
		{"null sender is of no domain", Route{Senders: []string{"example.com"}}, "", "bob@example.net", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.route.Matches(tt.reversePath, tt.recipient); got != tt.want {
				t.Errorf("Matches(%q, %q) = %v, want %v", tt.reversePath, tt.recipient, got, tt.want)
			}
		})
	}
}

// twoUpstreams is a configuration with the upstreams provider and bulk.
const twoUpstreams = minimal + "  - name: bulk\n    host: bulk.example.net\n    port: 465\n    tls: Implicit\n"

func TestParseRefusesRoutesThatLeadNowhere(t *testing.T) {
	t.Parallel()
	for routes, want := range map[string]string{
		"  - upstreams: [nobody]\n":                                                    `routes[0].upstreams[0]: "nobody" is not the name of an upstream`,
		"  - senders: [a.example]\n    upstreams: []\n":                                "routes[0].upstreams: missing",
		"  - senders: [\"*@x\"]\n    upstreams: [bulk]\n":                              "routes[0].senders[0]: ",
		"  - recipients: [\"<>\"]\n    upstreams: [bulk]\n":                            "routes[0].recipients[0]: ",
		"  - senders: [a.example]\n    upstreams: [bulk, provider]\n":                  "routes: mail that no route matches has nowhere to go",
		"  - upstreams: [bulk]\n  - senders: [a.example]\n    upstreams: [provider]\n": "routes[0]: matches all mail",
	} {
		_, err := Parse([]byte(twoUpstreams + "routes:\n" + routes))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Parse = %v, want an error with %q", routes, err, want)
		}
	}
}

func TestParseTakesALastRouteForAllMail(t *testing.T) {
	t.Parallel()
	_, err := Parse([]byte(twoUpstreams + "routes:\n  - senders: [a.example]\n    upstreams: [bulk]\n  - upstreams: [provider, bulk]\n"))
	if err != nil {
		t.Error(err)
	}
}
