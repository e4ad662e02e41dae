//go:build e2e

package e2e

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

const toggledSender = "orders@toggled.example"

// TestChangesWorkOnEveryPodWithinSeconds changes an upstream's login, an access rule and a DKIM
// key again and again, while an app submits to each pod all the time.
func TestChangesWorkOnEveryPodWithinSeconds(t *testing.T) {
	const rounds = 17 // with two pods the 99th percentile of 34 is the longest
	p, s := commonProvider(t), newSite(t, "changes-in-seconds")
	keys := [][]byte{ed25519Key(t), rsaKey(t)}
	s.secret(t, "dkim", map[string][]byte{"dkim.key": keys[1]})
	addresses := s.startPods(t, p, func(relay *v1alpha1.MailRelay) {
		relay.Spec.DKIM = []v1alpha1.DKIMKey{{Domain: "example.com", Selector: "s1", SecretRef: &v1alpha1.LocalSecretReference{Name: "dkim"}}}
		// Mailpit notes who logged in by this one only.
		relay.Spec.Upstreams[0].Auth.Mechanism = "LOGIN"
		relay.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{Senders: []string{sender}}}}
	})
	flow := s.startApp(t, defaultUser).submitAllTheTime(t, p, addresses)
	var logins, rules, signatures timings
	for i := range rounds {
		on := i%2 == 0
		login, senders, algorithm, key := "relay", []string{sender}, "a=rsa-sha256", keys[1]
		if on {
			login, senders, algorithm, key = secondLogin, append(senders, toggledSender), "a=ed25519-sha256", keys[0]
		}
		began := time.Now()
		s.setSecret(t, "provider", "username", []byte(login))
		logins = append(logins, flow.awaitMessages(t, began, func(m *arrived) bool { return m.Username == login })...)

		began = time.Now()
		relay := &v1alpha1.MailRelay{}
		s.change(t, relayName, relay, func() { relay.Spec.Access.Rules[0].Senders = senders })
		rules = append(rules, flow.awaitSender(t, began, on)...)

		began = time.Now()
		s.setSecret(t, "dkim", "dkim.key", key)
		signatures = append(signatures, flow.awaitMessages(t, began, func(m *arrived) bool {
			return strings.Contains(p.signature(t, m), algorithm)
		})...)
	}
	logins.judge(t, "from a change of the upstream's Secret to mail delivered with it by each pod")
	rules.judge(t, "from a change of an access rule's senders to the answer of each pod")
	signatures.judge(t, "from a change of the DKIM key to mail signed with it by each pod")
}

// flow is mail that is submitted to each pod of a relay all the time.
type flow struct {
	provider  *provider
	prefix    string
	addresses []string
	// ahead is how much the clock of the app's pod is before ours.
	ahead time.Duration

	mu sync.Mutex
	// toggled is since when a pod takes mail from toggledSender, or does not.
	toggled map[string]toggle
}

type toggle struct {
	taken bool
	since time.Time
}

func (a *app) submitAllTheTime(t *testing.T, p *provider, addresses []string) *flow {
	t.Helper()
	f := &flow{provider: p, prefix: a.namespace, addresses: addresses, toggled: map[string]toggle{}}
	clock := make(chan struct{})
	go func() {
		err := a.lines(t, "", func(line string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			switch word, rest, _ := strings.Cut(line, " "); word {
			case "clock":
				f.ahead = time.Until(unixTime(rest))
				close(clock)
			case "toggled":
				address, code, _ := strings.Cut(rest, " ")
				f.toggled[address] = toggle{taken: code == "250", since: time.Now()}
			default:
				fmt.Println("submitting:", line)
			}
		}, append([]string{"python3", "-c", submitAllTheTime, f.prefix, sender, toggledSender, recipient}, addresses...)...)
		if t.Context().Err() == nil {
			fmt.Println("submitting ended:", err)
		}
	}()
	select {
	case <-clock:
	case <-time.After(time.Minute):
		t.Fatal("the app does not begin to submit")
	}
	return f
}

func unixTime(seconds string) time.Time {
	s, _ := strconv.ParseFloat(seconds, 64)
	return time.UnixMicro(int64(s * 1e6))
}

// awaitMessages waits until mail of each pod has arrived that is new, and returns after how
// long the first of it was submitted.
func (f *flow) awaitMessages(t *testing.T, began time.Time, isNew func(*arrived) bool) timings {
	t.Helper()
	first, looked := map[string]time.Time{}, map[string]bool{}
	waitFor(t, 30*time.Second, "mail with the change in it", func(ctx context.Context) (bool, string) {
		var inbox struct{ Messages []arrived }
		if err := f.provider.askFor(ctx, "messages", 200, &inbox); err != nil {
			return false, err.Error()
		}
		for i := range inbox.Messages {
			m := &inbox.Messages[i]
			address, at, ok := f.read(m)
			if !ok || at.Before(began) || looked[m.ID] {
				continue
			}
			looked[m.ID] = true
			if isNew(m) && (first[address].IsZero() || at.Before(first[address])) {
				first[address] = at
			}
		}
		return len(first) == len(f.addresses), fmt.Sprintf("mail of %d pods", len(first))
	})
	var took timings
	for _, at := range first {
		took = append(took, at.Sub(began))
	}
	return took
}

// read is where and when a message was submitted, which its subject says.
func (f *flow) read(m *arrived) (address string, at time.Time, ok bool) {
	words := strings.Fields(m.Subject)
	if len(words) != 3 || words[0] != f.prefix {
		return "", at, false
	}
	return words[1], unixTime(words[2]).Add(-f.ahead), true
}

// awaitSender waits until each pod takes mail from toggledSender, or does not.
func (f *flow) awaitSender(t *testing.T, began time.Time, taken bool) timings {
	t.Helper()
	var took timings
	waitFor(t, 30*time.Second, fmt.Sprintf("mail from %s to be taken: %v", toggledSender, taken), func(context.Context) (bool, string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		took = nil
		for _, now := range f.toggled {
			if now.taken == taken && now.since.After(began) {
				took = append(took, now.since.Sub(began))
			}
		}
		return len(took) == len(f.addresses), fmt.Sprintf("so do %d pods", len(took))
	})
	return took
}

// signature is the DKIM signature of a message that has arrived.
func (p *provider) signature(t *testing.T, m *arrived) string {
	t.Helper()
	header := map[string][]string{}
	if err := p.ask(t.Context(), "message/"+m.ID+"/headers", &header); err != nil {
		t.Fatal(err)
	}
	return strings.Join(header["Dkim-Signature"], "\n")
}

func ed25519Key(t *testing.T) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return keyPEM(t, key)
}

func rsaKey(t *testing.T) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return keyPEM(t, key)
}

func keyPEM(t *testing.T, key crypto.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// submitAllTheTime submits to each address ten times a second, for five minutes at most, and
// prints each change of whether another sender is taken: prefix, sender, other sender,
// recipient, addresses.
const submitAllTheTime = `
import pathlib, smtplib, ssl, sys, threading, time
prefix, sender, other, recipient = sys.argv[1:5]
binding = pathlib.Path("` + bindings + `")
host, username, password, ca = ((binding / name).read_text() for name in ("host", "username", "password", "certificates"))
context = ssl.create_default_context(cadata=ca)

class Client(smtplib.SMTP_SSL):
    def _get_socket(self, address, port, timeout):
        self._host = host
        return super()._get_socket(address, port, timeout)

def submit(address):
    seen, client = None, Client(address, 465, context=context, timeout=20)
    client.login(username, password)
    while time.time() < end:
        now = time.time()
        client.sendmail(sender, [recipient], f"From: {sender}\r\nTo: {recipient}\r\nSubject: {prefix} {address} {now:.3f}\r\n\r\nHello.\r\n")
        code, _ = client.mail(other)
        client.rset()
        if code != seen:
            seen = code
            print("toggled", address, code, flush=True)
        time.sleep(0.1)

print("clock", time.time(), flush=True)
end = time.time() + 300
for address in sys.argv[5:]:
    threading.Thread(target=submit, args=[address]).start()
`
