//go:build interop

package interop

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// body has what a client must stuff with dots, and no others may take away.
const body = "hello\n.\n..two dots\n\nthe end\n"

// attempt is one message from one client, with a user of its own by whom it is told from the
// others on its way.
type attempt struct {
	client          *client
	port, mechanism string
	implicit        bool
	user, token     string
	// foreign is set when the client is told to trust a CA that is not the relay's.
	foreign bool
	// result is what the table shows.
	result string
}

// attempts are all that the clients can do, and on each port one with a foreign CA. plus is the
// relay that offers SCRAM-SHA-256-PLUS as well.
func attempts(s, plus *site) []*attempt {
	var all []*attempt
	for i := range clients {
		c := &clients[i]
		add := func(implicit bool, mechanism string, foreign bool) {
			if implicit && c.starttlsOnly {
				return
			}
			at := s
			if strings.HasSuffix(mechanism, "-PLUS") {
				at = plus
			}
			address := at.smtp
			if implicit {
				address = at.smtps
			}
			a := &attempt{
				client: c, port: port(address), mechanism: mechanism, implicit: implicit,
				token: rand.Text() + rand.Text(), foreign: foreign, result: "not tried",
			}
			a.user = strings.ToLower(fmt.Sprintf("c%d-%s-%s", i, a.usualPort(), mechanism))
			if foreign {
				a.user += "-foreign"
			}
			all = append(all, a)
		}
		for _, mechanism := range c.mechanisms {
			add(true, mechanism, false)
			add(false, mechanism, false)
		}
		add(true, c.mechanisms[0], true)
		add(false, c.mechanisms[0], true)
	}
	return all
}

// usualPort is the one that the relay's listener has outside of tests.
func (a *attempt) usualPort() string {
	if a.implicit {
		return "465"
	}
	return "587"
}

func (a *attempt) name() string {
	name := fmt.Sprintf("%s, %s, %s", a.client.name, a.usualPort(), a.mechanism)
	if a.foreign {
		name += ", foreign CA"
	}
	return name
}

func (a *attempt) sender() string  { return a.user + "@example.com" }
func (a *attempt) subject() string { return "Sent by " + a.user }

// message is what clients send that take one with its header, with bare line feeds as programs
// write them.
func (a *attempt) message() string {
	return "From: " + a.sender() + "\nTo: " + recipient + "\nSubject: " + a.subject() + "\n\n" + body
}

// send lets the client send its message to a port.
func (a *attempt) send(t *testing.T, s *site, to, ca string) error {
	if a.client.program == "" {
		return a.sendWithGo(to, ca, s.password)
	}
	clients, err := filepath.Abs("clients")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		write(t, path, content)
		return path
	}
	certificate, key := s.ca.issueClient(t, a.user)
	program := []string{filepath.Join(clients, a.client.program)}
	if a.client.tree != "" {
		// What such a server starts ends with this test, and so do the mounts it needs.
		program = append([]string{"unshare", "--mount", "--pid", "--fork", "--kill-child"}, program...)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, program[0], program[1:]...)
	run.WaitDelay = time.Second
	run.Dir = dir
	run.Env = append(os.Environ(), "HOME="+dir, "CLIENTS="+clients, "TREE="+a.client.tree, "HOST=localhost", "PORT="+to, "TLS="+a.tls(),
		"CA="+file("ca.pem", ca), "CERTIFICATE="+file("client.pem", certificate), "KEY="+file("client.key", key),
		"LOGIN="+a.user, "PASSWORD="+s.password, "TOKEN="+a.token, "MECHANISM="+a.mechanism,
		"SENDER="+a.sender(), "RECIPIENT="+recipient, "SUBJECT="+a.subject(),
		"MESSAGE="+file("message", a.message()), "BODY="+file("body", body))
	if out, err := run.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

func (a *attempt) tls() string {
	if a.implicit {
		return "implicit"
	}
	return "starttls"
}
