package delivery

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// What a script can answer with instead of a reply.
const (
	drop = "\x00drop" // close the connection
	hang = "\x00hang" // say nothing more
	last = "\x00last" // close the connection after the usual reply
)

// script says how a server behaves. Its zero value is a well-behaved server.
type script struct {
	mode config.TLSMode
	// keywords of the EHLO reply; all that the client knows when nil.
	keywords []string
	// on returns the reply to a command, "" for the usual one. verb is GREETING, END (the end
	// of data) or the command's; session counts connections from 1.
	on func(session int, verb, line string) string
	// injected goes out behind the reply to STARTTLS.
	injected string
	// serverName of the certificate; 127.0.0.1 when empty.
	serverName string
	// logins are checked when it is set; otherwise all are good.
	logins *logins
	// wantCertificate asks for one in the TLS handshake.
	wantCertificate bool
	// shape changes the certificate before it is signed; may be nil.
	shape func(*x509.Certificate)
}

// server is an upstream on a real socket.
type server struct {
	script   script
	listener net.Listener
	roots    *x509.CertPool
	tls      *tls.Config
	over     chan struct{}

	mu       sync.Mutex
	sessions int
	open     int
	peak     int
	commands []string
	contents []string
	raw      bytes.Buffer
}

func newServer(t *testing.T, s script) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &server{script: s, listener: listener, over: make(chan struct{})}
	srv.makeCertificate(t)
	var connections sync.WaitGroup
	connections.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Go(func() { srv.serve(conn) })
		}
	})
	t.Cleanup(func() {
		close(srv.over)
		_ = listener.Close()
		connections.Wait()
	})
	return srv
}

func (s *server) makeCertificate(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "upstream"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	if s.script.serverName != "" {
		template.DNSNames = []string{s.script.serverName}
	} else {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	if s.script.shape != nil {
		s.script.shape(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s.roots = x509.NewCertPool()
	s.roots.AddCert(certificate)
	s.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	if s.script.wantCertificate {
		s.tls.ClientAuth = tls.RequireAnyClientCert
	}
}

// upstream is the configuration for the server.
func (s *server) upstream() config.ResolvedUpstream {
	return config.ResolvedUpstream{
		Upstream: config.Upstream{
			Name: "test", Host: "127.0.0.1", Port: s.listener.Addr().(*net.TCPAddr).Port, TLS: s.script.mode,
			Limits: config.UpstreamLimits{Connections: 8, MessagesPerConnection: 100, RecipientsPerMessage: 100},
		},
		RootCAs: s.roots,
	}
}

// session is one connection of the server.
type session struct {
	*server
	number int
	conn   net.Conn
	r      *bufio.Reader
	ended  bool
	// mail means that MAIL was accepted, and taken counts the recipients that were.
	mail  bool
	taken int
}

func (s *server) serve(conn net.Conn) {
	s.mu.Lock()
	s.sessions++
	s.open++
	s.peak = max(s.peak, s.open)
	one := &session{server: s, number: s.sessions}
	s.mu.Unlock()
	defer func() {
		_ = conn.Close()
		s.mu.Lock()
		s.open--
		s.mu.Unlock()
	}()
	if s.script.mode == config.TLSImplicit {
		encrypted := tls.Server(conn, s.tls)
		if encrypted.Handshake() != nil {
			return
		}
		conn = encrypted
	}
	one.use(conn)
	one.say("GREETING", "", "220 upstream.test ESMTP")
	for !one.ended {
		one.command()
	}
}

func (s *session) use(conn net.Conn) {
	s.conn = conn
	s.r = bufio.NewReader(io.TeeReader(conn, s))
}

// Write records what was received.
func (s *session) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raw.Write(p)
}

// say sends the script's reply, or the usual one, and returns it.
func (s *session) say(verb, line, usual string) string {
	answer := ""
	if s.script.on != nil {
		answer = s.script.on(s.number, verb, line)
	}
	switch answer {
	case "":
		answer = usual
	case last:
		answer = usual
		s.ended = true
	case hang:
		<-s.over
		fallthrough
	case drop:
		s.ended = true
		return answer
	}
	_, err := io.WriteString(s.conn, answer+"\r\n")
	s.ended = s.ended || err != nil || strings.HasPrefix(answer, "421")
	return answer
}

func (s *session) command() {
	line, err := s.r.ReadString('\n')
	if err != nil {
		s.ended = true
		return
	}
	line = strings.TrimRight(line, "\r\n")
	verb, _, _ := strings.Cut(line, " ")
	s.note(line)
	switch verb {
	case "EHLO":
		s.say(verb, line, s.ehlo())
	case "STARTTLS":
		if strings.HasPrefix(s.say(verb, line, "220 go"+s.script.injected), "220") {
			s.use(tls.Server(s.conn, s.tls))
		}
	case "AUTH":
		s.auth(line)
	case "MAIL", "RSET":
		s.mail = strings.HasPrefix(s.say(verb, line, "250 2.0.0 Ok"), "2") && verb == "MAIL"
		s.taken = 0
	case "RCPT":
		usual := "250 2.0.0 Ok"
		if !s.mail {
			usual = "503 5.5.1 MAIL first"
		}
		if strings.HasPrefix(s.say(verb, line, usual), "2") {
			s.taken++
		}
	case "DATA":
		if strings.HasPrefix(s.say(verb, line, "354 go ahead"), "354") {
			s.content()
		}
	case "BDAT":
		s.chunk(line)
	case "QUIT":
		s.say(verb, line, "221 bye")
		s.ended = true
	default:
		s.say(verb, line, "250 2.0.0 Ok")
	}
}

func (s *session) note(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands = append(s.commands, line)
}

func (s *session) ehlo() string {
	keywords := s.script.keywords
	if keywords == nil {
		keywords = []string{"PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 1000000", "AUTH PLAIN LOGIN"}
		if _, encrypted := s.conn.(*tls.Conn); !encrypted && s.script.mode == config.TLSStartTLS {
			keywords = append(keywords, "STARTTLS")
		}
	}
	lines := append([]string{"upstream.test"}, keywords...)
	for i := range lines[:len(lines)-1] {
		lines[i] = "250-" + lines[i]
	}
	lines[len(lines)-1] = "250 " + lines[len(lines)-1]
	return strings.Join(lines, "\r\n")
}

func (s *session) auth(line string) {
	if s.script.logins != nil {
		s.say("AUTH", line, s.script.logins.run(s, line))
		return
	}
	if strings.Count(line, " ") == 1 {
		prompts := []string{"334 "}
		if strings.HasSuffix(line, "LOGIN") {
			prompts = []string{"334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"}
		}
		for _, prompt := range prompts {
			fmt.Fprintf(s.conn, "%s\r\n", prompt)
			answer, err := s.r.ReadString('\n')
			if err != nil {
				s.ended = true
				return
			}
			s.note(strings.TrimSpace(answer))
		}
	}
	s.say("AUTH", line, "235 2.7.0 welcome")
}

// content reads up to the end of data, which must be exact.
func (s *session) content() {
	var content strings.Builder
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			s.ended = true
			return
		}
		if line == ".\r\n" {
			break
		}
		content.WriteString(strings.TrimPrefix(line, "."))
	}
	if s.taken > 0 || content.Len() > 0 {
		s.mu.Lock()
		s.contents = append(s.contents, content.String())
		s.mu.Unlock()
	}
	s.say("END", "", "250 2.0.0 Ok: queued as U1")
}

// chunk takes one chunk, which is always the whole message.
func (s *session) chunk(line string) {
	var size int64
	if _, err := fmt.Sscanf(line, "BDAT %d LAST", &size); err != nil {
		s.ended = true
		return
	}
	content, err := io.ReadAll(io.LimitReader(s.r, size))
	if err != nil || int64(len(content)) < size {
		s.ended = true
		return
	}
	usual := "250 2.0.0 Ok: queued as U1"
	if s.taken == 0 {
		usual = "503 5.5.1 no valid recipients"
	} else {
		s.mu.Lock()
		s.contents = append(s.contents, string(content))
		s.mu.Unlock()
	}
	s.say("BDAT", line, usual)
}

// received are the messages that the server took or was offered. A lone dot is none as long
// as there is nobody to get it.
func (s *server) received() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.contents)
}

// said are the commands that the server got, of all connections.
func (s *server) said() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.commands)
}

// bytes are the octets that the server got, decrypted.
func (s *server) bytes() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raw.String()
}

func (s *server) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions
}
