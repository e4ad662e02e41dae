package relay_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// stage is a relay that dialogues are played on, and what its upstream gets.
type stage struct {
	*running
	upstream *capture
	// token is the bearer token of users with tokens, clients the CA of certificates.
	token   string
	clients *authority
	// issuer signs the tokens of users with subjects.
	issuer *issuer

	mu sync.Mutex
	// claimed are the queue ids that scripts have read in replies.
	claimed []string
}

// settings are what a relay of the dialogues has beside the ports, certificates and upstream
// that all have. Users without passwords get one that is made for the test; "{token}" stands for
// the hash of a token that is.
type settings struct {
	Listeners config.Listeners `yaml:"listeners"`
	Message   config.Message   `yaml:"message"`
	// ScramPlus is users.scramPlus.
	ScramPlus bool `yaml:"scramPlus"`
	// ClientCA makes a CA of certificates of users.
	ClientCA bool `yaml:"clientCA"`
	// SignedTokens makes an issuer of tokens.
	SignedTokens bool          `yaml:"signedTokens"`
	Users        []config.User `yaml:"users"`
}

func newStage(t *testing.T, file string) *stage {
	t.Helper()
	upstream := newCapture(t, "8BITMIME", "SMTPUTF8", "PIPELINING", "DSN")
	s := newSite(t, upstream.upstream)
	data, err := os.ReadFile(file)
	s.ca.must(err)
	var wanted settings
	decoder := yaml.NewDecoder(strings.NewReader(string(data)))
	decoder.KnownFields(true)
	s.ca.must(decoder.Decode(&wanted))
	clients, token := newAuthority(t), rand.Text()
	if wanted.ClientCA {
		s.write("clients/ca.crt", pemCertificate(clients.cert))
	}
	issuer := newIssuer(t)
	if wanted.SignedTokens {
		s.write("tokens/keys.json", issuer.keys(t))
	}
	s.apply(wanted, token)
	return &stage{running: s.start(), upstream: upstream, clients: clients, token: token, issuer: issuer}
}

// apply rewrites relay.yaml and the user file.
func (s *site) apply(wanted settings, token string) {
	s.t.Helper()
	s.change(func(c *config.Config) {
		wanted.Listeners.Submissions, wanted.Listeners.Submission = c.Listeners.Submissions, c.Listeners.Submission
		c.Listeners, c.Message = wanted.Listeners, wanted.Message
		c.Users.ScramPlus = wanted.ScramPlus
		if wanted.ClientCA {
			c.TLS.ClientCAFile = "clients/ca.crt"
		}
		if wanted.SignedTokens {
			c.Users.Tokens = config.Tokens{Audience: tokenAudience, KeysFile: "tokens/keys.json"}
		}
	})
	for i := range wanted.Users {
		if len(wanted.Users[i].Passwords) == 0 {
			wanted.Users[i].Passwords = []config.Verifier{s.verifier}
		}
		if slices.Contains(wanted.Users[i].Tokens, "{token}") {
			sum := sha256.Sum256([]byte(token))
			wanted.Users[i].Tokens = []string{hex.EncodeToString(sum[:])}
		}
	}
	s.userFile(wanted.Users...)
}

func (s *stage) dial(port string) (net.Conn, error) {
	address := s.Submissions
	if port == "587" {
		address = s.Submission
	}
	return net.DialTimeout("tcp", address.String(), 5*time.Second)
}

func (s *stage) claim(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claimed = append(s.claimed, id)
}

// delivered are the commands and the content of a message, as the upstream got them.
func (s *stage) delivered(id string, patience time.Duration) ([]string, error) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		for _, m := range s.upstream.messages() {
			if queueID(m) == id {
				return m.lines(), nil
			}
		}
	}
	return nil, fmt.Errorf("the message %s has not arrived within %v", id, patience)
}

// queueID is that of the topmost Received field.
func queueID(m transmitted) string {
	_, after, _ := strings.Cut(m.body, "\r\n\tid ")
	id, _, _ := strings.Cut(after, ";")
	return id
}

// settle wants every message that was accepted to be delivered once or to wait, and nothing
// else to have been delivered: a script cannot overlook a message.
func (s *stage) settle(t *testing.T) {
	t.Helper()
	eventually(t, "every message is delivered or waits", func() bool {
		return len(s.upstream.messages())+int(s.status(t).Queue.Messages) >= len(s.claimed)
	})
	open := slices.Clone(s.claimed)
	for _, m := range s.upstream.messages() {
		i := slices.Index(open, queueID(m))
		if i < 0 {
			t.Errorf("a message was delivered that no script has seen accepted, or twice:\n%s", strings.Join(m.lines(), "\n"))
			continue
		}
		open = slices.Delete(open, i, i+1)
	}
	if waiting := int(s.status(t).Queue.Messages); waiting != len(open) {
		t.Errorf("%d messages are not delivered, %d wait", len(open), waiting)
	}
}
