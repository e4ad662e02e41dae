//go:build interop

package interop

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// finding is one line of what testssl.sh reports.
type finding struct{ ID, Severity, Finding string }

// tolerated are the findings above LOW that are none of the relay's, each with its cause. A WARN
// is a test that testssl.sh could not do.
var tolerated = map[string]string{
	"cert_revocation": "an internal CA has no revocation list",
	"engine_problem":  "Debian's openssl has no GOST, and neither has the relay",
	// A relay that asks for certificates sends its TLS 1.3 ticket after the client's last
	// message. testssl.sh does not always wait for it, and then has no ticket to come back with.
	"sessionresumption_ticket": "testssl.sh left before the ticket came",
}

func TestTLSHasNoWeaknessThatTestsslKnows(t *testing.T) {
	t.Parallel()
	s := newSite(t, "Implicit")
	s.upstream.start(t)
	s.start(t)
	for name, arguments := range map[string][]string{
		"465": {"localhost:" + port(s.smtps)},
		"587": {"--starttls", "smtp", "localhost:" + port(s.smtp)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			findings := s.testssl(t, arguments)
			for _, f := range findings {
				if slices.Contains([]string{"OK", "DEBUG", "INFO", "LOW"}, f.Severity) {
					continue
				}
				if cause, ok := tolerated[f.ID]; ok {
					t.Logf("%s %s: %s: %s", f.Severity, f.ID, f.Finding, cause)
					continue
				}
				t.Errorf("%s %s: %s", f.Severity, f.ID, f.Finding)
			}
			// A scan that was cut short would find nothing too.
			for _, id := range []string{"TLS1", "TLS1_2", "TLS1_3", "cert_chain_of_trust", "cert_trust", "heartbleed", "LUCKY13"} {
				if !slices.ContainsFunc(findings, func(f finding) bool { return f.ID == id }) {
					t.Errorf("testssl.sh did not come to %s", id)
				}
			}
		})
	}
}

func (s *site) testssl(t *testing.T, target []string) []finding {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	report := filepath.Join(t.TempDir(), "report.json")
	arguments := []string{"--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--ip", "127.0.0.1",
		"--openssl-timeout", "20", "--add-ca", s.caFile, "--protocols", "--std", "--fs", "--server-preference", "--server-defaults", "--vulnerable", "--jsonfile", report}
	out, err := exec.CommandContext(ctx, "testssl", append(arguments, target...)...).CombinedOutput()
	content, readErr := os.ReadFile(report)
	if readErr != nil {
		t.Fatalf("%v, %v\n%s", err, readErr, out)
	}
	var findings []finding
	if err := json.Unmarshal(content, &findings); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return findings
}
