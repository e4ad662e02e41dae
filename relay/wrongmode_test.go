package relay_test

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// edit changes relay.yaml before the relay starts.
func (s *site) edit(change func(*config.Config)) {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.path, "relay.yaml"))
	s.ca.must(err)
	c, err := config.Parse(data)
	s.ca.must(err)
	change(c)
	data, err = config.Marshal(c)
	s.ca.must(err)
	s.write("relay.yaml", string(data))
}

// TestClientsInTheWrongModeAreNamed plays the usual mistakes with ports and modes. None may
// hang, and whoever runs the relay must find in log and metrics what to change.
func TestClientsInTheWrongModeAreNamed(t *testing.T) {
	t.Parallel()
	site := newSite(t, newUpstream(t))
	site.edit(func(c *config.Config) { c.Listeners.Silence = 300 * time.Millisecond })
	r := site.start()
	for _, tc := range []struct {
		name, send string
		to         net.Addr
		// said is what the client hears before the close, apart from a greeting.
		said, metric, advice string
	}{
		{"STARTTLS on 465", "", r.Submissions, "", `{kind="silent",service="submissions"}`, "set its encryption to SSL/TLS"},
		{"plaintext on 465", "EHLO x\r\n", r.Submissions, "", `{kind="smtp",service="submissions"}`, "set its encryption to SSL/TLS"},
		{"HTTP on 465", "GET / HTTP/1.1\r\n\r\n", r.Submissions, "", `{kind="http",service="submissions"}`, "speaks HTTP on 465"},
		{"TLS on 587", "\x16\x03\x01\x02\x00", r.Submission, "", `{kind="tls",service="submission"}`, "set its port to 465"},
		{"HTTP on 587", "GET / HTTP/1.1\r\n\r\n", r.Submission, "554 5.5.1 ", `{kind="http",service="submission"}`, "speaks HTTP on 587"},
	} {
		conn, err := net.Dial("tcp", tc.to.String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		began := time.Now()
		_, _ = io.WriteString(conn, tc.send)
		said, err := io.ReadAll(conn)
		_ = conn.Close()
		if took := time.Since(began); err != nil || took > 2*time.Second {
			t.Errorf("%s: closed after %v, %v", tc.name, took, err)
		}
		if tc.to == r.Submission {
			_, rest, _ := strings.Cut(string(said), "\r\n")
			said = []byte(rest)
		}
		if !strings.HasPrefix(string(said), tc.said) || (tc.said == "") != (len(said) == 0) {
			t.Errorf("%s: was told %q, want %q", tc.name, said, tc.said)
		}
		if _, metrics := get(t, r.Metrics, "/metrics"); !strings.Contains(metrics, "mailrelay_wrong_mode_total"+tc.metric+" 1\n") {
			t.Errorf("%s is not counted as %s", tc.name, tc.metric)
		}
		if !strings.Contains(site.log.String(), tc.advice) {
			t.Errorf("%s: the log does not say %q", tc.name, tc.advice)
		}
	}
	// What works, works still.
	conn, err := tls.Dial("tcp", r.Submissions.String(), r.tlsConfig())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}
