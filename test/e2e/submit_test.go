//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestRealClientsSubmitOnBothPortsWithNothingButTheirSecret(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "clients")
	s.startRelay(t, p, newRelay(p))
	a := s.startApp(t, defaultUser)
	// A dot alone must not end the message.
	const body = "hello\n.\nthe end"
	var sent, whole []string
	for _, implicit := range []string{"yes", "no"} {
		for name, script := range clientScripts {
			subject := fmt.Sprintf("%s %s implicit %s", s.namespace, name, implicit)
			text := fmt.Sprintf("From: %s\nTo: %s\nSubject: %s\n\n%s\n", sender, recipient, subject, body)
			a.must(t, text, "bash", "-c", clientPrologue+script, name, sender, recipient, implicit)
			whole = append(whole, subject)
		}
	}
	sent = append(sent, whole...)
	for _, mode := range []string{"implicit", "starttls"} {
		subject := fmt.Sprintf("%s Python %s", s.namespace, mode)
		a.python(t, sendOne, mode, sender, recipient, subject)
		sent = append(sent, subject)
	}
	p.waitForMail(t, 30*time.Second, s.namespace, sent)
	texts := p.texts(t, s.namespace)
	for _, subject := range whole {
		if texts[subject] != body {
			t.Errorf("%s: the text is %q", subject, texts[subject])
		}
	}
}

func TestRefusalsCarryTheRightCodes(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "refusals")
	s.startRelay(t, p, newRelay(p))
	a := s.startApp(t, defaultUser)
	tests := map[string]struct {
		mode  string
		lines []string
		want  string
	}{
		"wrong password on 465":    {"tls", []string{"EHLO app", "AUTH PLAIN {user}"}, "535 5.7.8 "},
		"wrong password on 587":    {"starttls", []string{"EHLO app", "AUTH PLAIN {user}"}, "535 5.7.8 "},
		"no AUTH on 465":           {"tls", []string{"EHLO app", "MAIL FROM:<" + sender + ">"}, "530 5.7.0 "},
		"no AUTH on 587":           {"starttls", []string{"EHLO app", "MAIL FROM:<" + sender + ">"}, "530 5.7.0 "},
		"AUTH in the clear on 587": {"plain", []string{"EHLO app", "AUTH PLAIN {user}"}, "530 5.7.0 "},
		"mail in the clear on 587": {"plain", []string{"EHLO app", "MAIL FROM:<" + sender + ">"}, "530 5.7.0 "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			out := a.python(t, dialogue, append([]string{tt.mode}, tt.lines...)...)
			replies := strings.Split(strings.TrimSpace(out), "\n")
			if last := replies[len(replies)-1]; !strings.HasPrefix(last, tt.want) {
				t.Errorf("reply %q, want %q", last, tt.want)
			}
			if offered := strings.Contains(replies[0], "AUTH"); offered != (tt.mode != "plain") {
				t.Errorf("AUTH offered: %v, in the EHLO reply %q", offered, replies[0])
			}
		})
	}
}
