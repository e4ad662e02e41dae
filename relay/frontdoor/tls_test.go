package frontdoor

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestTLSFloor(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	tests := []struct {
		name   string
		config *tls.Config
		ok     bool
	}{
		{"TLS 1.3", &tls.Config{MinVersion: tls.VersionTLS13}, true},
		{"TLS 1.2 with AES-GCM", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}, true},
		{"TLS 1.2 with ChaCha20", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256}}, true},
		{"TLS 1.2 with CBC", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, false},
		{"TLS 1.2 without forward secrecy", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}, false},
		{"TLS 1.1", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		{"ALPN of SMTP", &tls.Config{NextProtos: []string{"smtp"}}, true},
		{"ALPN nobody knows", &tls.Config{NextProtos: []string{"submission"}}, true},
		{"ALPN of HTTP among others", &tls.Config{NextProtos: []string{"h2", "smtp"}}, true},
		{"ALPN of a browser", &tls.Config{NextProtos: []string{"h2", "http/1.1"}}, false},
		{"ALPN of an old browser", &tls.Config{NextProtos: []string{"http/1.1"}}, false},
		{"SNI of somebody else", &tls.Config{ServerName: "elsewhere.test"}, true},
	}
	failures := 0
	for _, tt := range tests {
		tt.config.InsecureSkipVerify = true
		conn, err := tls.Dial("tcp", h.smtps, tt.config)
		if (err == nil) != tt.ok {
			t.Errorf("%s: got %v, want success %v", tt.name, err, tt.ok)
		}
		if err == nil {
			conn.Close()
		}
		if !tt.ok {
			failures++
		}
	}
	waitFor(t, "failed handshakes are counted", func() bool {
		return testutil.ToFloat64(h.metrics.handshakeFailures.WithLabelValues("submissions")) == float64(failures)
	})
}

func TestMinVersion(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *Options) { o.MinVersion = tls.VersionTLS13 })
	if conn, err := tls.Dial("tcp", h.smtps, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}); err == nil {
		conn.Close()
		t.Error("TLS 1.2 is served below the minimum")
	}
	h.dialTLS(t)
}

func TestRenewedCertificateIsServedAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	old := h.dialTLS(t)
	renewed := newCertificate(t)
	h.certificate.Store(renewed)
	for name, dial := range map[string]func(testing.TB) *client{"465": h.dialTLS, "587": h.dialStartTLS} {
		served := dial(t).Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Raw
		if !bytes.Equal(served, renewed.Certificate[0]) {
			t.Errorf("%s: the old certificate is still served", name)
		}
	}
	old.say("NOOP", "250 2.0.0 OK")
}

func TestAFailedHandshakeSaysWhatToChange(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	if _, err := tls.Dial("tcp", h.smtps, &tls.Config{ServerName: hostname}); err == nil {
		t.Fatal("a certificate of no known CA was trusted")
	}
	waitFor(t, "the failure is logged", func() bool { return h.log.String() != "" })
	if log := h.log.String(); !strings.Contains(log, "give it the relay's CA") && !strings.Contains(log, "check its CA") {
		t.Errorf("logged %q", log)
	}
}

// plainAlert is a client's connection whose second flight is an alert without encryption, as
// OpenSSL sends it in TLS 1.3.
type plainAlert struct {
	net.Conn
	flights int
}

func (c *plainAlert) Write(p []byte) (int, error) {
	if c.flights++; c.flights == 2 {
		_, _ = c.Conn.Write([]byte("\x14\x03\x03\x00\x01\x01\x15\x03\x03\x00\x02\x02\x30"))
		return 0, c.Conn.Close()
	}
	return c.Conn.Write(p)
}

func TestDistrustWithoutEncryptionIsUnderstood(t *testing.T) {
	t.Parallel()
	for _, port := range []string{"465", "587"} {
		h := newHouse(t, nil)
		address := map[string]string{"465": h.smtps, "587": h.smtp}[port]
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if port == "587" {
			plain := newClient(t, conn)
			plain.expect("220 ")
			plain.say("STARTTLS", "220 ")
		}
		_ = tls.Client(&plainAlert{Conn: conn}, &tls.Config{InsecureSkipVerify: true}).Handshake()
		waitFor(t, "the failure is logged", func() bool { return h.log.String() != "" })
		if log := h.log.String(); !strings.Contains(log, "the client does not trust the certificate") || !strings.Contains(log, "remote error: tls: unknown certificate authority") {
			t.Errorf("%s: logged %q", port, log)
		}
	}
}

func TestSlowHandshakeDelaysNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	for range 20 {
		dial(t, h.smtps).send("\x16")
		slow := dial(t, h.smtp)
		slow.expect("220 ")
		slow.say("STARTTLS", "220 ")
	}
	h.dialTLS(t).say("NOOP", "250 ")
	h.dialStartTLS(t).say("NOOP", "250 ")
}

func TestHandshakeHasATimeLimit(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *Options) { o.Timeouts.Handshake = 1 })
	c := dial(t, h.smtps)
	c.send("\x16\x03\x01")
	if rest, _ := io.ReadAll(c.r); len(rest) > 0 {
		t.Errorf("got %q", rest)
	}
	if !strings.Contains(h.log.String(), "timeout") {
		t.Errorf("logged %q", h.log.String())
	}
}
