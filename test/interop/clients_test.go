//go:build interop

package interop

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const python = `
import smtplib, ssl, sys
port, implicit, ca, user, password, sender, to = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
if implicit == "true":
    client = smtplib.SMTP_SSL("localhost", int(port), context=context)
else:
    client = smtplib.SMTP("localhost", int(port))
    client.starttls(context=context)
client.login(user, password)
client.sendmail(sender, [to], sys.stdin.read())
client.quit()
`

// job is one message for a client to send.
type job struct {
	*site
	implicit bool
	port     string
	subject  string
}

const (
	sender    = "orders@example.com"
	recipient = "bob@example.net"
)

// lines are the text of a message: a dot alone must not end it, nor a doubled one be lost.
var lines = []string{"hello", ".", "..two", "the end"}

// clients are the command lines that send a job; its message comes on standard input.
var clients = map[string]func(job) []string{
	"swaks": func(j job) []string {
		tls := "--tls"
		if j.implicit {
			tls = "--tls-on-connect"
		}
		return []string{"swaks", "--server", "localhost", "--port", j.port, tls, "--tls-verify", "--tls-ca-path", j.caFile,
			"--auth", "PLAIN", "--auth-user", user, "--auth-password", j.password,
			"--from", sender, "--to", recipient, "--data", "-"}
	},
	"swaks with LOGIN": func(j job) []string {
		tls := "--tls"
		if j.implicit {
			tls = "--tls-on-connect"
		}
		return []string{"swaks", "--server", "localhost", "--port", j.port, tls,
			"--auth", "LOGIN", "--auth-user", user, "--auth-password", j.password, "--pipeline",
			"--from", sender, "--to", recipient, "--data", "-"}
	},
	"msmtp": func(j job) []string {
		return []string{"msmtp", "--file=" + filepath.Join(j.dir, "no-msmtprc"), "--host=localhost", "--port=" + j.port, "--tls=on", fmt.Sprintf("--tls-starttls=%s", onOff(!j.implicit)),
			"--tls-trust-file=" + j.caFile, "--auth=plain", "--user=" + user, "--passwordeval=echo " + j.password,
			"--from=" + sender, recipient}
	},
	"curl": func(j job) []string {
		url := "smtp://localhost:" + j.port
		if j.implicit {
			url = "smtps://localhost:" + j.port
		}
		return []string{"curl", "--silent", "--show-error", "--ssl-reqd", "--url", url, "--cacert", j.caFile,
			"--user", user + ":" + j.password, "--mail-from", sender, "--mail-rcpt", recipient, "--upload-file", "-"}
	},
	"Python": func(j job) []string {
		return []string{"python3", "-c", python, j.port, fmt.Sprint(j.implicit), j.caFile, user, j.password, sender, recipient}
	},
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func TestRealClientsOnBothPorts(t *testing.T) {
	t.Parallel()
	s := newSite(t, "Implicit")
	s.upstream.start(t)
	s.start(t)
	var sent []string
	for name, command := range clients {
		for address, implicit := range map[string]bool{s.smtps: true, s.smtp: false} {
			subject := fmt.Sprintf("%s, implicit TLS %v", name, implicit)
			args := command(job{site: s, implicit: implicit, port: port(address), subject: subject})
			run := exec.Command(args[0], args[1:]...)
			// Bare line feeds, as programs write them: a mail client sends what it is given.
			run.Stdin = strings.NewReader("From: " + sender + "\nTo: " + recipient + "\nSubject: " + subject + "\n\n" + strings.Join(lines, "\n") + "\n")
			if out, err := run.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", subject, err, out)
				continue
			}
			sent = append(sent, subject)
		}
	}
	slices.Sort(sent)
	var got []string
	waitFor(t, 30*time.Second, "all messages arrive", func() bool {
		got = s.upstream.subjects(t)
		return len(got) >= len(sent)
	})
	if slices.Sort(got); !slices.Equal(got, sent) {
		t.Errorf("arrived: %q\nsent: %q", got, sent)
	}
	for _, m := range s.upstream.messages(t) {
		text := strings.ReplaceAll(s.upstream.text(t, m), "\r\n", "\n")
		if strings.TrimRight(text, "\n") != strings.Join(lines, "\n") {
			t.Errorf("%s: the text is %q", m.Subject, text)
		}
	}
}
