package relay_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestStatusTellsWhatBothPortsShow(t *testing.T) {
	t.Parallel()
	site := newSite(t, newUpstream(t))
	external := newAuthority(t).server("mail.example.com")
	site.certificate("external", external)
	r := site.start()
	shows := func(what string, want map[string]string) {
		t.Helper()
		var report config.Report
		eventually(t, what, func() bool {
			report = r.status(t)
			seen := map[string]string{}
			for _, c := range report.Certificates {
				for _, s := range c.Served {
					if s.Error != "" {
						t.Fatal(s.Error)
					}
					seen[fmt.Sprint(s.Port, " ", s.Host)] = s.Fingerprint
				}
			}
			return fmt.Sprint(seen) == fmt.Sprint(want)
		})
	}
	_, submissions := hostPort(t, r.Submissions)
	_, submission := hostPort(t, r.Submission)
	renewed := site.ca.server(hostname)
	site.certificate("tls", renewed)
	shows("the renewed certificate and the external one", map[string]string{
		fmt.Sprint(submissions, " ", hostname):           config.Fingerprint(renewed.Leaf),
		fmt.Sprint(submission, " ", hostname):            config.Fingerprint(renewed.Leaf),
		fmt.Sprint(submissions, " ", "mail.example.com"): config.Fingerprint(external.Leaf),
		fmt.Sprint(submission, " ", "mail.example.com"):  config.Fingerprint(external.Leaf),
	})
}

// TestNamesThatChangedAreLookedAt: it is not the certificate alone that says what to look at.
func TestNamesThatChangedAreLookedAt(t *testing.T) {
	t.Parallel()
	site := newSite(t, newUpstream(t))
	site.certificate("external", newAuthority(t).server("mail.example.com"))
	r := site.start()
	seen := func(what, host, problem string) {
		t.Helper()
		eventually(t, what, func() bool {
			for _, c := range r.status(t).Certificates {
				for _, s := range c.Served {
					if s.Host == host && strings.Contains(s.Error, problem) {
						return true
					}
				}
			}
			return false
		})
	}
	seen("the name in the certificate", "mail.example.com", "")
	site.change(func(c *config.Config) { c.TLS.Names = []string{"smtp.example.com"} })
	seen("the name in the configuration", "smtp.example.com", "not for that name")
}

// TestOwnLooksAreNoClients: what the metrics count is what clients do.
func TestOwnLooksAreNoClients(t *testing.T) {
	t.Parallel()
	site := newSite(t, newUpstream(t))
	r := site.start()
	eventually(t, "the first look", func() bool { return len(r.status(t).Certificates[0].Served) == 2 })
	const counted = `mailrelay_connections_total{service="submissions"} `
	if _, got := get(t, r.Metrics, "/metrics"); !strings.Contains(got, counted+"0\n") {
		t.Errorf("the looks are counted:\n%s", got)
	}
	if err := r.dial(t, "submissions").Quit(); err != nil {
		t.Fatal(err)
	}
	if _, got := get(t, r.Metrics, "/metrics"); !strings.Contains(got, counted+"1\n") {
		t.Errorf("a client is not counted:\n%s", got)
	}
}
