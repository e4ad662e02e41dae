//go:build interop

package interop

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The user of tests that need one, and its mail.
const (
	user      = "shop.default"
	sender    = "orders@example.com"
	recipient = "bob@example.net"
)

// upstream is a Mailpit that wants TLS and a login.
type upstream struct {
	dir, mode, smtp, api, username, password string
}

func newUpstream(t *testing.T, ca *authority, mode string) *upstream {
	t.Helper()
	u := &upstream{dir: t.TempDir(), mode: mode, smtp: freeAddress(t), api: freeAddress(t), username: "relay", password: rand.Text()}
	certificate, key := ca.issue(t)
	write(t, filepath.Join(u.dir, "tls.crt"), certificate)
	write(t, filepath.Join(u.dir, "tls.key"), key)
	write(t, filepath.Join(u.dir, "users"), u.username+":"+u.password+"\n")
	return u
}

func (u *upstream) start(t *testing.T) *process {
	t.Helper()
	require := map[string]string{"Implicit": "--smtp-require-tls", "StartTLS": "--smtp-require-starttls"}[u.mode]
	file := func(name string) string { return filepath.Join(u.dir, name) }
	p := start(t, "mailpit", "--smtp", u.smtp, "--listen", u.api, "--database", file("mail.db"), "--max", "0",
		"--smtp-tls-cert", file("tls.crt"), "--smtp-tls-key", file("tls.key"), require,
		"--smtp-auth-file", file("users"), "--disable-version-check", "--smtp-disable-rdns")
	waitFor(t, 15*time.Second, "Mailpit listens", listens(u.api))
	waitFor(t, 15*time.Second, "Mailpit takes mail", listens(u.smtp))
	return p
}

// arrived is a message in Mailpit.
type arrived struct{ ID, Subject string }

// messages are all that arrived.
func (u *upstream) messages(t *testing.T) []arrived {
	t.Helper()
	var list struct{ Messages []arrived }
	decode(t, u.get(t, "messages?limit=10000"), &list)
	return list.Messages
}

// subjects are those of all messages that arrived.
func (u *upstream) subjects(t *testing.T) []string {
	t.Helper()
	var subjects []string
	for _, m := range u.messages(t) {
		subjects = append(subjects, m.Subject)
	}
	return subjects
}

func decode(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

// site is a relay with its configuration.
type site struct {
	ca                       *authority
	dir, smtps, smtp, caFile string
	password                 string
	probes, metrics          string
	upstream                 *upstream
}

func newSite(t *testing.T, mode string) *site {
	t.Helper()
	s := &site{
		ca: newAuthority(t), dir: t.TempDir(), password: rand.Text(),
		smtps: freeAddress(t), smtp: freeAddress(t), probes: freeAddress(t), metrics: freeAddress(t),
	}
	if err := os.Mkdir(filepath.Join(s.dir, "spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.upstream = newUpstream(t, s.ca, mode)
	s.caFile = filepath.Join(s.dir, "ca.crt")
	write(t, s.caFile, s.ca.PEM)
	s.renewCertificate(t)
	write(t, filepath.Join(s.dir, "upstream", "username"), s.upstream.username)
	write(t, filepath.Join(s.dir, "upstream", "password"), s.upstream.password+"\n")
	s.setUser(t, user, s.password, "example.com")
	write(t, s.configFile(), fmt.Sprintf(`version: 1
hostname: localhost.localdomain
listeners:
  submissions: {address: "%s"}
  submission: {address: "%s"}
tls:
  clientCAFile: ca.crt
  internal: {certFile: tls/tls.crt, keyFile: tls/tls.key}
users:
  files: [users/users.yaml]
upstreams:
  - name: mailpit
    host: localhost
    port: %s
    tls: %s
    caFile: ca.crt
    auth: {usernameFile: upstream/username, passwordFile: upstream/password}
queue:
  directory: spool
logging: {level: Debug}
admin: {probes: "%s", metrics: "%s"}
`, s.smtps, s.smtp, port(s.upstream.smtp), mode, s.probes, s.metrics))
	return s
}

// withScramPlus is a second relay with the same users and the same upstream, which offers
// SCRAM-SHA-256-PLUS as well.
func (s *site) withScramPlus(t *testing.T) *site {
	t.Helper()
	plus := *s
	plus.dir = t.TempDir()
	content := s.config(t)
	for _, address := range []*string{&plus.smtps, &plus.smtp, &plus.probes, &plus.metrics} {
		old := *address
		*address = freeAddress(t)
		content = strings.Replace(content, old, *address, 1)
	}
	for _, dir := range []string{"ca.crt", "tls", "users", "upstream"} {
		if err := os.Symlink(filepath.Join(s.dir, dir), filepath.Join(plus.dir, dir)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(plus.dir, "spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, plus.configFile(), strings.Replace(content, "users:\n", "users:\n  scramPlus: true\n", 1))
	return &plus
}

func (s *site) configFile() string { return filepath.Join(s.dir, "relay.yaml") }

func (s *site) renewCertificate(t *testing.T) {
	t.Helper()
	certificate, key := s.ca.issue(t)
	write(t, filepath.Join(s.dir, "tls", "tls.key"), key)
	write(t, filepath.Join(s.dir, "tls", "tls.crt"), certificate)
}

// setUser makes name the only user.
func (s *site) setUser(t *testing.T, name, password, sender string) {
	t.Helper()
	verifier := exec.Command(binary(t, "relay"), "verifier", name, "--sender", sender)
	verifier.Stdin = strings.NewReader(password + "\n")
	var file bytes.Buffer
	verifier.Stdout = &file
	if err := verifier.Run(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(s.dir, "users", "users.yaml"), file.String())
}

func (s *site) start(t *testing.T) *process {
	t.Helper()
	check := exec.Command(binary(t, "relay"), "check", "--config", s.configFile())
	if out, err := check.CombinedOutput(); err != nil {
		t.Fatalf("relay check: %v\n%s", err, out)
	}
	p := start(t, "relay", "serve", "--config", s.configFile())
	waitFor(t, 15*time.Second, "the relay is ready", func() bool {
		response, err := http.Get("http://" + s.probes + "/readyz")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return p
}
