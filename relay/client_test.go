package relay_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/smtp"
	"net/textproto"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/admin"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func (r *running) tlsConfig() *tls.Config {
	return &tls.Config{RootCAs: r.site.ca.pool(), ServerName: hostname, MinVersion: tls.VersionTLS12}
}

// dial connects to a port, "submissions" or "submission", up to the EHLO inside TLS.
func (r *running) dial(t *testing.T, service string) *smtp.Client {
	t.Helper()
	c, _ := r.dialRaw(t, service)
	return c
}

// dialRaw is dial, and returns the connection below TLS as well.
func (r *running) dialRaw(t *testing.T, service string) (*smtp.Client, net.Conn) {
	t.Helper()
	address := r.Submissions
	if service == "submission" {
		address = r.Submission
	}
	conn, err := net.DialTimeout("tcp", address.String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	raw := conn
	if service == "submissions" {
		conn = tls.Client(conn, r.tlsConfig())
	}
	c, err := smtp.NewClient(conn, hostname)
	if err != nil {
		t.Fatalf("%s: greeting: %v", service, err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Hello("client.test"); err != nil {
		t.Fatalf("%s: EHLO: %v", service, err)
	}
	if service == "submission" {
		if err := c.StartTLS(r.tlsConfig()); err != nil {
			t.Fatalf("STARTTLS: %v", err)
		}
	}
	return c, raw
}

func (r *running) login(c *smtp.Client, user, password string) error {
	return c.Auth(smtp.PlainAuth("", user, password, hostname))
}

// submit sends one message and returns the first error.
func (r *running) submit(t *testing.T, service, user, content string) error {
	t.Helper()
	c := r.dial(t, service)
	if err := r.login(c, user, r.site.password); err != nil {
		return err
	}
	if err := send(c, content); err != nil {
		return err
	}
	return c.Quit()
}

func send(c *smtp.Client, content string) error {
	if err := c.Mail("app@example.com"); err != nil {
		return err
	}
	if err := c.Rcpt("bob@example.net"); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, content); err != nil {
		return err
	}
	return w.Close()
}

// code is the SMTP code of an error, 0 when it has none.
func code(err error) int {
	if protocol := (*textproto.Error)(nil); errors.As(err, &protocol) {
		return protocol.Code
	}
	return 0
}

// status reads the report as the operator does.
func (r *running) status(t *testing.T) config.Report {
	t.Helper()
	client := r.tlsConfig()
	client.Certificates = []tls.Certificate{*r.site.operator.client()}
	transport := &http.Transport{TLSClientConfig: client, DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport, Timeout: 5 * time.Second}).Get("https://" + r.Status.String() + admin.StatusPath)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var report config.Report
	if err := json.NewDecoder(response.Body).Decode(&report); err != nil {
		t.Fatal(err)
	}
	return report
}

// get reads a plain HTTP port.
func get(t *testing.T, address net.Addr, path string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	response, err := client.Get("http://" + address.String() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}
