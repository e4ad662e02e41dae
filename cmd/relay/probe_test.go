package main

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// serveSMTP is a mail server without encryption that greets and answers AUTH as told.
func serveSMTP(t *testing.T, greeting, auth string) (port int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			answer(conn, greeting, auth)
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return listener.Addr().(*net.TCPAddr).Port
}

func answer(conn net.Conn, greeting, auth string) {
	defer conn.Close()
	fmt.Fprint(conn, greeting+"\r\n")
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		switch verb, _, _ := strings.Cut(lines.Text(), " "); verb {
		case "EHLO":
			fmt.Fprint(conn, "250-upstream.test\r\n250-SIZE 1000\r\n250 AUTH PLAIN\r\n")
		case "AUTH":
			fmt.Fprint(conn, auth+"\r\n")
		case "QUIT":
			fmt.Fprint(conn, "221 bye\r\n")
			return
		default:
			fmt.Fprint(conn, "502 what\r\n")
		}
	}
}

// pointAt makes the upstream of the example one without encryption on this host.
func pointAt(t *testing.T, path string, port int) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer(
		"host: smtp.example.net", "host: 127.0.0.1", "port: 465", fmt.Sprintf("port: %d", port),
		"tls: Implicit", "tls: None\n    plaintextAcknowledgement: "+config.PlaintextAcknowledgement,
	).Replace(string(content))
	write(t, path, changed)
}

func TestCheckProbesUpstreams(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, greeting, auth string
		prints, fails        string
	}{
		{"works", "220 hello", "235 welcome", "probe of provider: can be used, the login works\n  offers: SIZE\n  largest message: 1000 bytes\n  login mechanisms: PLAIN\n", ""},
		{"refuses the login", "220 hello", "535 5.7.8 no", "probe of provider: cannot be used: 127.0.0.1 refuses the login: 535 5.7.8 no\n", "cannot be used: provider"},
		{"refuses the session", "554 no", "", "probe of provider: cannot be used: 127.0.0.1 refuses the session at the greeting: 554 no\n", "cannot be used: provider"},
		{"is busy", "421 later", "", "probe of provider: busy, try again later: ", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, path := reference(t)
			pointAt(t, path, serveSMTP(t, tt.greeting, tt.auth))
			password := rand.Text()
			write(t, filepath.Join(dir, "upstream/password"), password)
			out, err := execute(t, "", "check", "--probe", "--config", path)
			if !strings.Contains(out, tt.prints) {
				t.Errorf("check printed\n%swithout\n%s", out, tt.prints)
			}
			if (tt.fails == "") != (err == nil) || err != nil && err.Error() != tt.fails {
				t.Errorf("check failed with %v, want %q", err, tt.fails)
			}
			if strings.Contains(out, password) {
				t.Error("check printed a password")
			}
		})
	}
}

func TestCheckConnectsNowhereUnlessTold(t *testing.T) {
	t.Parallel()
	_, path := reference(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	pointAt(t, path, listener.Addr().(*net.TCPAddr).Port)
	if _, err := execute(t, "", "check", "--config", path); err != nil {
		t.Fatal(err)
	}
	_ = listener.(*net.TCPListener).SetDeadline(time.Now().Add(10 * time.Millisecond))
	if conn, err := listener.Accept(); err == nil {
		_ = conn.Close()
		t.Error("check connected to the upstream")
	}
}

func TestProbedShowsTheCertificate(t *testing.T) {
	t.Parallel()
	r := &config.ProbeReport{
		Reachable: true, TLSVersion: "1.3", CipherSuite: "TLS_AES_128_GCM_SHA256", PlaintextMechanisms: []string{"PLAIN"},
		Certificate: &config.PeerCertificate{
			Subject: "CN=smtp.example.net", Issuer: "CN=A CA", Names: []string{"smtp.example.net", "mail.example.net"},
			NotAfter: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
		},
	}
	want := `probe of provider: can be used, without a login
  TLS: 1.3, TLS_AES_128_GCM_SHA256
  certificate: CN=smtp.example.net, for smtp.example.net mail.example.net, signed by CN=A CA, until 2030-01-02
  login mechanisms without encryption: PLAIN`
	if got := strings.Join(probed("provider", r), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
