package delivery

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestProbeOfALoginWithAToken(t *testing.T) {
	t.Parallel()
	trouble := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	tests := []struct {
		name   string
		answer http.HandlerFunc
		fault  config.Fault
		says   string
	}{
		{"works", nil, "", ""},
		{"endpoint refuses", func(w http.ResponseWriter, _ *http.Request) { refuseToken(w, "invalid_client", "expired") },
			config.FaultLoginRefused, "refuses the credentials: invalid_client"},
		{"endpoint has trouble", trouble(http.StatusServiceUnavailable), config.FaultNoToken, "has trouble: 503"},
		{"endpoint is silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			config.FaultNoToken, "the token endpoint gives no answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, e, u := tokenSite(t, config.AuthXOAuth2)
			e.set(func(e *endpoint) { e.answer = tt.answer })
			timeouts := impatientProbe()
			if tt.name == "endpoint is silent" {
				timeouts.whole = 300 * time.Millisecond
				t.Cleanup(e.CloseClientConnections)
			}
			r := probeOf(u, timeouts)
			if !r.Reachable || r.Fault != "" || r.Login == nil || r.Login.Authenticated != (tt.fault == "") {
				t.Fatalf("report %+v, login %+v", r, r.Login)
			}
			if r.Login.Fault != tt.fault || !strings.Contains(r.Login.Error, tt.says) {
				t.Errorf("found %s: %s", r.Login.Fault, r.Login.Error)
			}
			if r.Usable() != (tt.fault == "") || strings.Contains(r.Login.Error, u.ClientSecret) {
				t.Errorf("usable %v, login %+v", r.Usable(), r.Login)
			}
		})
	}
}

// Trouble of a token endpoint says nothing of the credentials, so that the login is tried on.
func TestProbesTryOnWithoutAToken(t *testing.T) {
	t.Parallel()
	var e *endpoint
	p := newTestProber(t, script{mode: config.TLSImplicit, keywords: []string{"AUTH XOAUTH2"}}, func(_ *config.Config, u *config.ResolvedUpstream) {
		e = newEndpoint(t)
		e.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
		*u = e.upstream(*u)
	})
	p.want("start", 0, 1, 0)
	p.want("in an hour", time.Hour, 12, 0)
	asked := len(e.asked())
	if asked < 13 {
		t.Errorf("a token was asked for %d times", asked)
	}
	e.set(func(e *endpoint) { e.answer = nil })
	p.want("mended", 5*time.Minute, 1, 1)
	p.want("with the same token", 5*time.Minute, 1, 1)
	if r := p.report(); !r.Usable() || len(e.asked()) != asked+1 {
		t.Errorf("login %+v, a token was asked for %d times", r.Login, len(e.asked())-asked)
	}
}

func TestProbeNamesAClientCertificateThatIsMissing(t *testing.T) {
	t.Parallel()
	for _, mode := range []config.TLSMode{config.TLSImplicit, config.TLSStartTLS} {
		srv := newServer(t, script{mode: mode, wantCertificate: true, keywords: []string{"AUTH EXTERNAL", "STARTTLS"}})
		r := probeOf(srv.upstream(), impatientProbe())
		if r.Fault != config.FaultTLS || !strings.Contains(r.Error, "127.0.0.1 ends the TLS handshake, see that it knows TLS 1.2 and whether it wants a client certificate") {
			t.Errorf("%s: %s: %s", mode, r.Fault, r.Error)
		}
	}
}

func TestClientCertificateAloneIsALogin(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSImplicit, wantCertificate: true, keywords: []string{"SIZE"}})
	u := srv.upstream()
	u.ClientCertificate = clientCertificate(t, "relay")
	if r := probeOf(u, impatientProbe()); !r.Usable() || r.Login == nil || !r.Login.Authenticated {
		t.Errorf("report %+v, login %+v", r, r.Login)
	}
}
