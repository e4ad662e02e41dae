package submission

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/frontdoor"
)

// behindFrontDoor runs a server behind a real front door and returns the addresses of its
// ports, 465 first.
func behindFrontDoor(t testing.TB, change ...func(*fixture)) (f *fixture, submissions, submission string) {
	t.Helper()
	f = newFixture(t)
	for _, c := range change {
		c(f)
	}
	implicit, explicit := listen(t), listen(t)
	door, err := frontdoor.New(frontdoor.Options{
		Hostname:       f.config.Hostname,
		Submissions:    implicit,
		Submission:     explicit,
		ClientCAs:      func() *x509.CertPool { return f.clientCAs },
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &serverTLS().Certificates[0], nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	f.serve(door)
	t.Cleanup(func() { _ = door.Close() })
	return f, implicit.Addr().String(), explicit.Addr().String()
}

// startTLS opens a connection to the port that begins in plaintext.
func (f *fixture) startTLS(address string) *client {
	f.t.Helper()
	return f.startTLSWith(address, &tls.Config{InsecureSkipVerify: true})
}

func (f *fixture) startTLSWith(address string, config *tls.Config) *client {
	f.t.Helper()
	c, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		f.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	in := bufio.NewReader(c)
	for _, line := range []string{"", "EHLO client.test\r\n", "STARTTLS\r\n"} {
		_, _ = io.WriteString(c, line)
		for {
			got, err := in.ReadString('\n')
			if err != nil || got[0] != '2' {
				f.t.Fatalf("after %q: %q, %v", line, got, err)
			}
			if got[3] == ' ' {
				break
			}
		}
	}
	cl := f.encryptWith(c, config)
	cl.do("EHLO client.test", "250 ")
	return cl
}

func TestBehindTheFrontDoor(t *testing.T) {
	t.Parallel()
	f, submissions, submission := behindFrontDoor(t)
	f.address = submissions
	connect := map[string]func() *client{
		"465": f.connect,
		"587": func() *client { return f.startTLS(submission) },
	}
	for port, open := range connect {
		c := open()
		c.do("MAIL FROM:<app@example.com>", "530 5.7.0 ")
		c.do("AUTH PLAIN "+plainResponse("", testUser, "wrong"), "535 5.7.8 ")
		c.do("AUTH PLAIN "+plainResponse("", testUser, testPassword), "235 2.7.0 ")
		c.do("RCPT TO:<bob@example.net>", "503 5.5.1 ")
		before := len(f.spool.messages())
		c.begin()
		c.do("From: app@example.com\r\n\r\nhello\r\n.", "250 2.0.0 Ok: queued as ")
		c.begin()
		c.send("From: app@example.com\r\n\r\nhello\r\r\n.\r\n")
		c.expect("554 5.6.0 ")
		c.expectClosed()
		if n := len(f.spool.messages()) - before; n != 1 {
			t.Errorf("port %s: %d messages stored, want 1", port, n)
		}
	}
}

func TestEHLOBehindTheFrontDoor(t *testing.T) {
	t.Parallel()
	f, submissions, _ := behindFrontDoor(t)
	f.address = submissions
	c := f.connect()
	c.send("EHLO client.test\r\n")
	var lines []string
	for last := false; !last; {
		line, err := c.in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.TrimSpace(line[4:]))
		last = line[3] == ' '
	}
	got := strings.Join(lines, "|")
	if !strings.HasPrefix(got, "relay.test") || strings.Contains(got, "CHUNKING") ||
		!strings.Contains(got, "|AUTH PLAIN LOGIN SCRAM-SHA-256|") || !strings.HasSuffix(got, "|SIZE 65536|LIMITS RCPTMAX=10") {
		t.Errorf("offered: %s", got)
	}
}
