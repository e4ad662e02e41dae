//go:build interop

package interop

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/smtp"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// postfix is a Postfix behind a relay, with logins by Cyrus SASL. It keeps mail as files.
type postfix struct {
	dir, smtps, password string
}

// masterFile are the services of Postfix that taking and keeping mail needs.
const masterFile = `%s inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
proxymap unix - - n - - proxymap
virtual unix - n n - - virtual
`

func newPostfix(t *testing.T, ca *authority, mechanisms string) *postfix {
	t.Helper()
	// Postfix lays its privileges down: the directory must be one that others can enter.
	dir, err := os.MkdirTemp("", "postfix")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &postfix{dir: dir, smtps: freeAddress(t), password: rand.Text()}
	certificate, key := ca.issue(t)
	write(t, p.file("tls.crt"), certificate)
	write(t, p.file("tls.key"), key)
	write(t, p.file("master.cf"), fmt.Sprintf(masterFile, p.smtps))
	write(t, p.file("sasl/smtpd.conf"), "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: "+p.file("sasldb")+"\nmech_list: "+mechanisms+"\n")
	write(t, p.file("main.cf"), strings.ReplaceAll(`compatibility_level = 3.6
queue_directory = DIR/queue
data_directory = DIR/data
maillog_file = DIR/log
maillog_file_prefixes = DIR
myhostname = upstream.example
mydestination =
mynetworks =
alias_maps =
smtpd_tls_wrappermode = yes
smtpd_tls_security_level = encrypt
smtpd_tls_cert_file = DIR/tls.crt
smtpd_tls_key_file = DIR/tls.key
smtpd_sasl_auth_enable = yes
cyrus_sasl_config_path = DIR/sasl
smtpd_relay_restrictions = permit_sasl_authenticated, reject
virtual_mailbox_domains = example.net
virtual_mailbox_base = DIR/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
`, "DIR", p.dir))
	p.run(t, p.password, "saslpasswd2", "-p", "-c", "-f", p.file("sasldb"), "-u", "upstream.example", "relay")
	p.own(t, "postfix", "data", "sasldb")
	p.own(t, "nobody", "mail")
	for _, path := range []string{".", "queue", "sasl", "sasl/smtpd.conf"} {
		if err := os.MkdirAll(p.file(path), 0o755); path != "sasl/smtpd.conf" && err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p.file(path), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p *postfix) file(name string) string { return filepath.Join(p.dir, name) }

// own gives files to a user, and makes directories of those that are not there.
func (p *postfix) own(t *testing.T, name string, files ...string) {
	t.Helper()
	owner, err := osuser.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(owner.Uid)
	for _, file := range files {
		if _, err := os.Stat(p.file(file)); err != nil {
			if err := os.Mkdir(p.file(file), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chown(p.file(file), uid, -1); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *postfix) run(t *testing.T, input, name string, args ...string) {
	t.Helper()
	command := exec.Command(name, args...)
	command.Stdin = strings.NewReader(input)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func (p *postfix) start(t *testing.T) {
	t.Helper()
	p.run(t, "", "postfix", "-c", p.dir, "start")
	t.Cleanup(func() {
		p.run(t, "", "postfix", "-c", p.dir, "stop")
		if t.Failed() {
			t.Logf("Postfix said:\n%s", p.log())
		}
	})
	waitFor(t, 15*time.Second, "Postfix listens", listens(p.smtps))
}

func (p *postfix) log() string {
	content, _ := os.ReadFile(p.file("log"))
	return string(content)
}

// bodies are those of the messages that it kept.
func (p *postfix) bodies() []string {
	var bodies []string
	files, _ := filepath.Glob(p.file("mail/all/new/*"))
	for _, file := range files {
		content, _ := os.ReadFile(file)
		_, body, _ := strings.Cut(string(content), "\n\n")
		bodies = append(bodies, body)
	}
	return bodies
}

func submitBody(client *smtp.Client, body string) error {
	if err := errors.Join(client.Mail(sender), client.Rcpt(recipient)); err != nil {
		return err
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "From: %s\r\nSubject: dots\r\n\r\n%s", sender, body); err != nil {
		return err
	}
	return w.Close()
}

// TestMailIsHandedToPostfix logs in at a server whose SCRAM, BDAT and PIPELINING are none of the
// relay's own making.
func TestMailIsHandedToPostfix(t *testing.T) {
	t.Parallel()
	tests := []struct {
		mechanisms, used string
		chunking         bool
	}{
		{"PLAIN LOGIN SCRAM-SHA-256", "SCRAM-SHA-256", false},
		{"PLAIN LOGIN SCRAM-SHA-256", "SCRAM-SHA-256", true},
		{"LOGIN PLAIN", "PLAIN", true},
		{"LOGIN", "LOGIN", false},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%s, chunking %t", test.used, test.chunking), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "Implicit")
			p := newPostfix(t, s.ca, test.mechanisms)
			p.start(t)
			write(t, filepath.Join(s.dir, "upstream", "password"), p.password+"\n")
			write(t, s.configFile(), strings.Replace(s.config(t), "port: "+port(s.upstream.smtp)+"\n",
				fmt.Sprintf("port: %s\n    chunking: %t\n", port(p.smtps), test.chunking), 1))
			relay := s.start(t)
			client, err := s.dial(t, s.password)
			if err != nil {
				t.Fatal(err)
			}
			const messages, body = 20, ".\r\n..\r\n.x\r\nRSET\r\n\r\n.\r\n"
			for range messages {
				if err := submitBody(client, body); err != nil {
					t.Fatal(err)
				}
			}
			waitFor(t, 30*time.Second, "the messages", func() bool { return len(p.bodies()) == messages })
			for _, got := range p.bodies() {
				if got != strings.ReplaceAll(body, "\r\n", "\n") {
					t.Fatalf("arrived as %q", got)
				}
			}
			if !strings.Contains(p.log(), "sasl_method="+test.used+", sasl_username=relay") {
				t.Error("not logged in by " + test.used)
			}
			// At the end of a connection Postfix counts its commands.
			relay.kill()
			command := map[bool]string{true: " bdat=", false: " data="}[test.chunking]
			waitFor(t, 15*time.Second, "a count of"+command, func() bool { return strings.Contains(p.log(), command) })
		})
	}
}
