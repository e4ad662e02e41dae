package delivery

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/sasl"
)

// account is the one that logs in at a server of logins, by whatever proves it.
const account = "app,=@example.com"

// logins is a server's side of all mechanisms, for one account.
type logins struct {
	mechanisms *sasl.Mechanisms
	user       *config.User
	// tamper changes a challenge; turn counts from 1.
	tamper func(turn int, challenge string) string

	mu sync.Mutex
	// tokens are those that are valid.
	tokens []string
	// failed counts the logins that did not succeed.
	failed int
}

// newLogins knows a password and the names of client certificates.
func newLogins(t *testing.T, password string, certificates ...string) *logins {
	t.Helper()
	l := &logins{user: &config.User{Name: account, Certificates: certificates}}
	if password != "" {
		v, err := config.NewVerifier(password)
		if err != nil {
			t.Fatal(err)
		}
		l.user.Passwords = []config.Verifier{v}
	}
	var err error
	if l.mechanisms, err = sasl.New(sasl.Options{Users: l, Tokens: sasl.HashedTokens{TokenDirectory: l}}); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *logins) Lookup(name string) (*config.User, bool) { return l.user, name == account }

func (l *logins) ByCertificate(name string) (*config.User, bool) {
	return l.user, slices.Contains(l.user.Certificates, name)
}

func (l *logins) HaveTokens() bool { return true }

func (l *logins) ByToken(hash string) (*config.User, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.user, slices.ContainsFunc(l.tokens, func(token string) bool {
		sum := sha256.Sum256([]byte(token))
		return hex.EncodeToString(sum[:]) == hash
	})
}

// allow makes tokens the only valid ones.
func (l *logins) allow(tokens ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tokens = tokens
}

func (l *logins) failures() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// run takes an AUTH command and returns the reply that ends the exchange.
func (l *logins) run(s *session, line string) string {
	reply := l.exchange(s, line)
	if !strings.HasPrefix(reply, "235") {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.failed++
	}
	return reply
}

func (l *logins) exchange(s *session, line string) string {
	words := strings.Fields(line)
	client := sasl.Client{Address: netip.MustParseAddr("127.0.0.1")}
	if encrypted, ok := s.conn.(*tls.Conn); ok {
		if shown := encrypted.ConnectionState().PeerCertificates; len(shown) > 0 {
			client.Certificate = sasl.CertificateNames(shown[0])
		}
	}
	x, err := l.mechanisms.Start(words[1], client)
	if err != nil {
		return "504 5.5.4 unknown mechanism"
	}
	var response []byte
	switch {
	case len(words) < 3:
	case words[2] == "=":
		response = []byte{}
	default:
		response, err = base64.StdEncoding.DecodeString(words[2])
	}
	for turn := 1; err == nil; turn++ {
		challenge, done, refused := x.Next(response)
		if done {
			return "235 2.7.0 welcome"
		}
		if refused != nil && challenge == nil {
			return "535 5.7.8 wrong credentials"
		}
		if response, err = l.ask(s, turn, string(challenge)); refused != nil {
			return "535 5.7.8 wrong credentials"
		}
	}
	if errors.Is(err, errCancelled) {
		return "501 5.0.0 cancelled"
	}
	return "501 5.5.2 malformed"
}

var errCancelled = errors.New("the client cancels")

// ask sends a challenge and reads the response.
func (l *logins) ask(s *session, turn int, challenge string) ([]byte, error) {
	if l.tamper != nil {
		challenge = l.tamper(turn, challenge)
	}
	if _, err := s.conn.Write([]byte("334 " + encode(challenge) + "\r\n")); err != nil {
		return nil, err
	}
	line, err := s.r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimRight(line, "\r\n")
	s.note(line)
	if line == "*" {
		return nil, errCancelled
	}
	response, err := base64.StdEncoding.DecodeString(line)
	if response == nil {
		response = []byte{}
	}
	return response, err
}

// newToken is long, as those of large providers are.
func newToken() string { return strings.Repeat(rand.Text()+".", 80) + rand.Text() }
