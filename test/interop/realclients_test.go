//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
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
	plus := s.withScramPlus(t)
	all := attempts(s, plus)
	s.setUsers(t, all)
	s.upstream.start(t)
	relays := []*process{s.start(t), plus.start(t)}
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
					a.sendForeign(t, s, relays[0], foreign)
					return
				}
				if err := a.send(t, s, a.port, s.ca.PEM); err != nil {
					a.result = "failed"
					t.Fatal(err)
				}
				a.result = "sent"
			})
		}
	})
	t.Run("arrive", func(t *testing.T) { arrive(t, s, all, logins(t, relays)) })
	report(t, all)
}

// distrust is what clients say of a certificate that no CA they trust has signed.
var distrust = regexp.MustCompile(`(?i)certificate (verify|verification|check) failed|unable to (get local issuer|verify the first) certificate|unknown authority|PKIX path (building|validation) failed|certificate is (not |un)trusted|untrusted server certificate`)

// sendForeign offers a certificate that the client has no reason to trust. A client that does not
// send says why, or tells the relay by an alert: any other failure is none of its distrust.
func (a *attempt) sendForeign(t *testing.T, s *site, relay *process, foreign string) {
	tap := newTap(t, "127.0.0.1:"+a.port)
	err := a.send(t, s, port(tap.address), foreign)
	if a.client.trustsAnyone {
		a.result = "sent, without a look at the certificate"
		if err != nil {
			t.Errorf("does not trust anyone: %v", err)
		}
		return
	}
	if err == nil {
		t.Fatal("trusted a certificate of another CA")
	}
	why := distrust.FindString(err.Error())
	for deadline := time.Now().Add(5 * time.Second); why == "" && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for _, entry := range relay.entries(t) {
			if strings.HasPrefix(entry.Msg, "TLS handshake failed: the client") && tap.passed(entry.Client) {
				why = "alert " + strings.TrimPrefix(entry.Error, "remote error: tls: ")
			}
		}
	}
	if why == "" {
		t.Fatalf("failed, but not for the certificate: %v", err)
	}
	a.result = "refused the certificate: " + why
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

// logEntry is a line of a relay's log.
type logEntry struct{ Msg, User, Mechanism, Client, Error string }

func (p *process) entries(t *testing.T) []logEntry {
	t.Helper()
	var entries []logEntry
	for line := range strings.Lines(p.output.String()) {
		var entry logEntry
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		entries = append(entries, entry)
	}
	return entries
}

// logins are the mechanisms that let each user in.
func logins(t *testing.T, relays []*process) map[string][]string {
	t.Helper()
	logins := map[string][]string{}
	for _, relay := range relays {
		for _, entry := range relay.entries(t) {
			if entry.Msg == "logged in" {
				logins[entry.User] = append(logins[entry.User], entry.Mechanism)
			}
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
