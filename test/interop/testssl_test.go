//go:build interop

package interop

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// finding is one line of what testssl.sh reports.
type finding struct{ ID, Severity, Finding string }

// tolerated is the finding above LOW that is none of the relay's.
const tolerated = "cert_revocation" // an internal CA has no revocation list

// lateTicket is one more where clients are asked for certificates: a TLS 1.3 ticket then comes
// after the client's last message, and testssl.sh, which leaves at once, does not always see it.
const lateTicket = "sessionresumption_ticket"

func TestTLSHasNoWeaknessThatTestsslKnows(t *testing.T) {
	t.Parallel()
	asking, plain := newSite(t, "Implicit"), newSite(t, "Implicit")
	write(t, plain.configFile(), strings.Replace(plain.config(t), "clientCAFile: ca.crt", "", 1))
	asking.start(t)
	plain.start(t)
	for name, scan := range map[string]struct {
		site      *site
		target    []string
		tolerated []string
	}{
		"465":                         {plain, []string{"localhost:" + port(plain.smtps)}, []string{tolerated}},
		"587":                         {plain, []string{"--starttls", "smtp", "localhost:" + port(plain.smtp)}, []string{tolerated}},
		"465, asking for certificate": {asking, []string{"localhost:" + port(asking.smtps)}, []string{tolerated, lateTicket}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			findings := scan.site.testssl(t, scan.target)
			for _, f := range findings {
				switch {
				case slices.Contains([]string{"OK", "DEBUG", "INFO", "LOW"}, f.Severity):
				case slices.Contains(scan.tolerated, f.ID):
					t.Logf("tolerated: %s %s: %s", f.Severity, f.ID, f.Finding)
				default:
					t.Errorf("%s %s: %s", f.Severity, f.ID, f.Finding)
				}
			}
			// A scan that was cut short would find nothing too.
			for _, id := range []string{"TLS1", "TLS1_2", "TLS1_3", "cert_chain_of_trust", "cert_trust", "sessionresumption_ticket", "heartbleed", "LUCKY13"} {
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
