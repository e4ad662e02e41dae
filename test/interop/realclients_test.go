//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// availableOnly is the value of MAILRELAY_INTEROP that lets clients be missing.
const availableOnly = "available"

func TestRealClients(t *testing.T) {
	t.Parallel()
	s := newSite(t, "Implicit")
	all := attempts(s)
	s.setUsers(t, all)
	s.upstream.start(t)
	relay := s.start(t)
	foreign := newAuthority(t).PEM

	t.Run("send", func(t *testing.T) {
		for _, a := range all {
			t.Run(a.name(), func(t *testing.T) {
				t.Parallel()
				if a.client.version() == "" {
					a.result = "not installed"
					if os.Getenv("MAILRELAY_INTEROP") == availableOnly {
						t.Skip(a.result)
					}
					t.Fatal(a.result)
				}
				if a.foreign {
					a.sendForeign(t, s, foreign)
					return
				}
				if err := a.send(t, s, s.ca.PEM); err != nil {
					a.result = "failed"
					t.Fatal(err)
				}
				a.result = "sent"
			})
		}
	})
	t.Run("arrive", func(t *testing.T) { arrive(t, s, all, relay.logins(t)) })
	report(t, all)
}

// sendForeign offers a certificate that the client has no reason to trust.
func (a *attempt) sendForeign(t *testing.T, s *site, foreign string) {
	err := a.send(t, s, foreign)
	switch {
	case a.client.trustsAnyone && err != nil:
		t.Errorf("does not trust anyone: %v", err)
	case !a.client.trustsAnyone && err == nil:
		t.Error("trusted a certificate of another CA")
	}
	a.result = "refused the certificate"
	if err == nil {
		a.result = "sent, without a look at the certificate"
	}
}

// arrive waits for what was sent, and compares it.
func arrive(t *testing.T, s *site, all []*attempt, logins map[string][]string) {
	var sent []*attempt
	for _, a := range all {
		if a.foreign && !a.client.trustsAnyone && len(logins[a.user]) > 0 {
			t.Errorf("%s: logged in all the same", a.name())
		}
		if strings.HasPrefix(a.result, "sent") {
			sent = append(sent, a)
		}
	}
	for deadline := time.Now().Add(30 * time.Second); len(s.upstream.subjects(t)) < len(sent) && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond)
	}
	messages := s.upstream.received(t)
	for _, a := range sent {
		var problem error
		switch m := messages[a.sender()]; {
		case m == nil:
			problem = fmt.Errorf("did not arrive")
		case !slices.Equal(logins[a.user], []string{a.mechanism}):
			problem = fmt.Errorf("logged in with %q", logins[a.user])
		default:
			problem = a.check(m)
		}
		if problem != nil {
			a.result = problem.Error()
			t.Errorf("%s: %v", a.name(), problem)
		} else if !a.foreign {
			a.result = "ok"
		}
	}
}

// logins are the mechanisms that let each user in, of the relay's log.
func (p *process) logins(t *testing.T) map[string][]string {
	t.Helper()
	logins := map[string][]string{}
	for line := range strings.Lines(p.output.String()) {
		var entry struct{ Msg, User, Mechanism string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if entry.Msg == "logged in" {
			logins[entry.User] = append(logins[entry.User], entry.Mechanism)
		}
	}
	return logins
}

// report writes the table to dist/clients.txt, where "make interop" shows it.
func report(t *testing.T, all []*attempt) {
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CLIENT\tVERSION\tPORT\tMECHANISM\tRESULT\tQUIRK")
	for _, a := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", a.client.name, a.client.version(), a.usualPort(), a.mechanism, a.result, a.client.quirk)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join("..", "..", "dist", "clients.txt"), table.String())
}
