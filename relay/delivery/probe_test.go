package delivery

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// impatientProbe has no time for upstreams that say nothing.
func impatientProbe() probeTimeouts {
	const short = 50 * time.Millisecond
	t := probeTimeouts{Timeouts: shortTimeouts(), patience: short, whole: patience}
	t.Greeting = short
	return t
}

// probeOf probes a server once.
func probeOf(u config.ResolvedUpstream, timeouts probeTimeouts) *config.ProbeReport {
	p := probe{dialer{upstream: u, hostname: "relay.test"}, timeouts}
	f, is := p.run(context.Background())
	return newProbeReport(f, is, time.Now())
}

// loginTo gives an upstream credentials.
func loginTo(u *config.ResolvedUpstream) { u.Username, u.Password = "app", rand.Text() }

func setTo(mode config.TLSMode) func(*config.ResolvedUpstream) {
	return func(u *config.ResolvedUpstream) { u.TLS = mode }
}

// in answers a verb on some sessions only.
func in(sessions int, verb, text string) func(int, string, string) string {
	return func(session int, v, _ string) string {
		if v == verb && session <= sessions {
			return text
		}
		return ""
	}
}

func TestProbeNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	always := func(verb, text string) func(int, string, string) string { return in(1<<30, verb, text) }
	ended := time.Now().Add(-24 * time.Hour).UTC().Truncate(time.Second)
	tests := []struct {
		name   string
		script script
		change func(*config.ResolvedUpstream)
		fault  config.Fault
		// says is what the sentence must hold; PORT and HOST stand for those of the server.
		says string
	}{
		{"implicit TLS, set to StartTLS", script{mode: config.TLSImplicit}, setTo(config.TLSStartTLS),
			config.FaultExpectsTLS, "PORT expects TLS from the first byte, this upstream is set to StartTLS: set tls to Implicit"},
		{"implicit TLS, set to None", script{mode: config.TLSImplicit}, setTo(config.TLSNone),
			config.FaultExpectsTLS, "PORT expects TLS from the first byte, this upstream is set to None: set tls to Implicit"},
		{"STARTTLS, set to Implicit", script{mode: config.TLSStartTLS}, setTo(config.TLSImplicit),
			config.FaultExpectsPlaintext, "PORT answers in plaintext, this upstream is set to Implicit: set tls to StartTLS"},
		{"busy and without TLS, set to Implicit", script{mode: config.TLSNone, on: always("GREETING", "421 busy")}, setTo(config.TLSImplicit),
			config.FaultExpectsPlaintext, "set tls to StartTLS"},
		{"greets late, set to Implicit", script{mode: config.TLSStartTLS, on: in(1, "GREETING", hang)}, setTo(config.TLSImplicit),
			config.FaultExpectsPlaintext, "set tls to StartTLS"},
		{"hangs up on who speaks first, set to Implicit", script{mode: config.TLSStartTLS, on: in(1, "GREETING", drop)}, setTo(config.TLSImplicit),
			config.FaultExpectsPlaintext, "set tls to StartTLS"},
		{"web server, set to Implicit", script{mode: config.TLSNone, on: always("GREETING", "HTTP/1.1 400 Bad Request")}, setTo(config.TLSImplicit),
			config.FaultNotSMTP, "what answers on port PORT of HOST is no mail server: check host and port"},
		{"web server, set to StartTLS", script{mode: config.TLSStartTLS, on: always("GREETING", "HTTP/1.1 400 Bad Request")}, nil,
			config.FaultNotSMTP, "what answers on port PORT of HOST is no mail server: check host and port"},
		{"STARTTLS not offered", script{mode: config.TLSStartTLS, keywords: []string{"PIPELINING"}}, nil,
			config.FaultNoSTARTTLS, "PORT does not offer STARTTLS, this upstream is set to StartTLS: take the port for implicit TLS, usually 465"},
		{"STARTTLS refused", script{mode: config.TLSStartTLS, on: always("STARTTLS", "454 4.7.0 no TLS now")}, nil,
			config.FaultTLS, "offers STARTTLS and refuses it: 454 4.7.0 no TLS now"},
		{"a reply behind STARTTLS", script{mode: config.TLSStartTLS, injected: "\r\n250 fake"}, nil,
			config.FaultTLS, "before the TLS handshake"},
		{"no login without TLS", script{mode: config.TLSNone, on: always("AUTH", "530 5.7.0 Must issue a STARTTLS command first")}, loginTo,
			config.FaultRequiresTLS, "PORT wants encryption, this upstream is set to None: set tls to StartTLS"},

		{"silence", script{mode: config.TLSStartTLS, on: always("GREETING", hang)}, nil,
			config.FaultSilent, "HOST takes connections on port PORT and does not greet: check host and port"},
		{"silence inside TLS", script{mode: config.TLSImplicit, on: always("GREETING", hang)}, nil,
			config.FaultSilent, "does not greet"},
		{"hangs up instead of greeting", script{mode: config.TLSStartTLS, on: always("GREETING", drop)}, nil,
			config.FaultSession, "HOST closes the connection instead of greeting"},
		{"no service", script{mode: config.TLSStartTLS, on: always("GREETING", "554 5.7.1 not from there")}, nil,
			config.FaultSession, "HOST refuses the session at the greeting: 554 5.7.1 not from there"},
		{"no answer to EHLO", script{mode: config.TLSNone, on: always("EHLO", hang)}, nil,
			config.FaultSession, "HOST gives no answer to EHLO"},
		{"hangs up at EHLO", script{mode: config.TLSNone, on: always("EHLO", drop)}, nil,
			config.FaultSession, "HOST closes the connection instead of answering EHLO"},
		{"too many connections", script{mode: config.TLSStartTLS, on: always("GREETING", "421 4.7.0 too many")}, nil,
			config.FaultThrottled, "HOST wants no more sessions just now: 421 4.7.0 too many"},

		{"certificate of no CA", script{mode: config.TLSImplicit}, func(u *config.ResolvedUpstream) { u.RootCAs = x509.NewCertPool() },
			config.FaultUntrusted, "the certificate of HOST is signed by nobody but itself: put it into the file of caFile, or the Secret of caSecretRef"},
		{"certificate for another name", script{mode: config.TLSStartTLS, serverName: "mail.example.net"}, nil,
			config.FaultUntrusted, "the certificate of HOST is for mail.example.net: set host to the name that the provider gives"},
		{"certificate without a name", script{mode: config.TLSImplicit, shape: func(c *x509.Certificate) { c.IPAddresses = nil }}, nil,
			config.FaultUntrusted, "the certificate of HOST is for no host at all"},
		{"certificate that has ended", script{mode: config.TLSImplicit, shape: func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter, c.IsCA = ended.Add(-time.Hour), ended, false
		}}, nil, config.FaultUntrusted, "the certificate of HOST ended at " + ended.Format(time.RFC3339) + ": its owner has to renew it"},
		{"certificate that has not begun", script{mode: config.TLSImplicit, shape: func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter, c.IsCA = ended.Add(48*time.Hour), ended.Add(96*time.Hour), false
		}}, nil, config.FaultUntrusted, "the certificate of HOST begins only at " + ended.Add(48*time.Hour).Format(time.RFC3339)},
		{"certificate of a CA that has ended", script{mode: config.TLSImplicit, shape: func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = ended.Add(-time.Hour), ended
		}}, nil, config.FaultUntrusted, "the CA certificate CN=upstream of HOST ended at "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, tt.script)
			u := srv.upstream()
			if tt.change != nil {
				tt.change(&u)
			}
			timeouts := impatientProbe()
			timeouts.Command = 100 * time.Millisecond
			if strings.Contains(tt.name, "set to Implicit") {
				timeouts.TLS = 100 * time.Millisecond
			}
			r := probeOf(u, timeouts)
			says := strings.NewReplacer("PORT", fmt.Sprint(u.Port), "HOST", u.Host).Replace(tt.says)
			if r.Fault != tt.fault || !strings.Contains(r.Error, says) {
				t.Errorf("found %s: %s\nwant %s: %s", r.Fault, r.Error, tt.fault, says)
			}
			if r.Reachable != (tt.fault == config.FaultThrottled) || r.Login != nil {
				t.Errorf("reachable %v, login %+v", r.Reachable, r.Login)
			}
			if strings.HasPrefix(tt.name, "certificate") && r.Certificate == nil {
				t.Error("the certificate is not shown")
			}
			if slices.ContainsFunc(srv.said(), func(s string) bool { return strings.HasPrefix(s, "MAIL") }) {
				t.Error("mail was begun")
			}
		})
	}
}

// A greeting that is late is no TLS: only a handshake that succeeds is.
func TestSlowGreetingIsNotTakenForTheWrongMode(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]func(int, string, string) string{
		"slow to everybody": in(2, "GREETING", hang),
		"slow once":         in(1, "GREETING", hang),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, script{mode: config.TLSStartTLS, on: on})
			timeouts := impatientProbe()
			timeouts.TLS, timeouts.patience = 200*time.Millisecond, patience
			if name == "slow once" {
				timeouts.TLS = patience
			}
			u := srv.upstream()
			if r := probeOf(u, timeouts); !r.Reachable || r.Fault != "" {
				t.Errorf("found %s: %s", r.Fault, r.Error)
			}
			if n := srv.connections(); n != 3 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

func TestProbeEndsInTime(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSStartTLS, on: in(1<<30, "EHLO", hang)})
	timeouts := impatientProbe()
	timeouts.Command, timeouts.whole = time.Hour, 200*time.Millisecond
	began := time.Now()
	if r := probeOf(srv.upstream(), timeouts); r.Fault != config.FaultSession || !strings.Contains(r.Error, "gives no answer to EHLO") {
		t.Errorf("found %s: %s", r.Fault, r.Error)
	}
	if took := time.Since(began); took > patience {
		t.Errorf("it took %s", took)
	}
	d := defaultProbeTimeouts()
	if whole := d.whole + d.Quit; whole > 30*time.Second {
		t.Errorf("a probe may take %s", whole)
	}
}

func TestProbeTellsApartWhyThereIsNoConnection(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	u := config.ResolvedUpstream{Upstream: config.Upstream{
		Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, TLS: config.TLSStartTLS}}
	r := probeOf(u, impatientProbe())
	if want := fmt.Sprintf("127.0.0.1 refuses connections to port %d: check port", u.Port); r.Fault != config.FaultUnreachable || !strings.Contains(r.Error, want) {
		t.Errorf("found %s: %s", r.Fault, r.Error)
	}
	u.Host, u.Port = "smtp.example.net", 465
	for _, tt := range []struct {
		name  string
		err   error
		fault config.Fault
		says  string
	}{
		{"no such name", &net.DNSError{IsNotFound: true}, config.FaultUnresolved, "the name smtp.example.net has no address: check host"},
		{"silent DNS", &net.DNSError{IsTimeout: true}, config.FaultUnresolved, "the DNS does not answer"},
		{"dropped", &net.OpError{Op: "dial", Err: context.DeadlineExceeded}, config.FaultUnreachable, "smtp.example.net does not answer on port 465: a firewall"},
		{"no address left", &net.OpError{Op: "dial", Source: &net.TCPAddr{Port: 4711}, Err: fmt.Errorf("cannot assign")}, config.FaultUnreachable, "no connection to smtp.example.net port 465: cannot assign"},
	} {
		if is := judge(u, facts{failure: lost(StepConnect, tt.err)}); is.fault != tt.fault || !strings.Contains(is.sentence, tt.says) || strings.Contains(is.sentence, "4711") {
			t.Errorf("%s: %+v", tt.name, is)
		}
	}
}

func TestProbeShowsWhatTheUpstreamOffers(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSImplicit, keywords: []string{
		"SIZE 36700160", "PIPELINING", "XCLIENT NAME", "AUTH PLAIN LOGIN XOAUTH2 *odd*", "AUTH=LOGIN", "dsn", "LIMITS RCPTMAX=50",
	}})
	u := srv.upstream()
	loginTo(&u)
	r := probeOf(u, impatientProbe())
	if !r.Reachable || !r.Usable() || r.Login == nil || !r.Login.Authenticated || r.Fault != "" || r.Error != "" {
		t.Fatalf("report %+v, login %+v", r, r.Login)
	}
	if r.TLSVersion != "1.3" || !strings.HasPrefix(r.CipherSuite, "TLS_") || r.MaxSize != 36700160 {
		t.Errorf("TLS %s with %s, size %d", r.TLSVersion, r.CipherSuite, r.MaxSize)
	}
	if want := []string{"DSN", "LIMITS", "PIPELINING", "SIZE"}; !slices.Equal(r.Capabilities, want) {
		t.Errorf("capabilities %q, want %q", r.Capabilities, want)
	}
	if want := []string{"LOGIN", "PLAIN", "XOAUTH2"}; !slices.Equal(r.Mechanisms, want) || len(r.PlaintextMechanisms) > 0 {
		t.Errorf("mechanisms %q, want %q; before TLS %q", r.Mechanisms, want, r.PlaintextMechanisms)
	}
}

func TestProbeIsOneWholeSession(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSImplicit})
	r := probeOf(srv.upstream(), impatientProbe())
	if c := r.Certificate; c == nil || c.Subject != "CN=upstream" || !slices.Equal(c.Names, []string{"127.0.0.1"}) || c.NotAfter.Before(time.Now()) {
		t.Errorf("certificate %+v", c)
	}
	said := srv.said()
	if last := said[len(said)-1]; last != "QUIT" || srv.connections() != 1 {
		t.Errorf("%d connections; said %q", srv.connections(), said)
	}
}

func TestProbeShowsLoginsOfferedInPlaintext(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSStartTLS})
	if r := probeOf(srv.upstream(), impatientProbe()); !slices.Equal(r.PlaintextMechanisms, []string{"LOGIN", "PLAIN"}) || r.Login != nil {
		t.Errorf("before TLS %q, login %+v", r.PlaintextMechanisms, r.Login)
	}
}

func TestProbeOfALogin(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		script script
		fault  config.Fault
		says   string
	}{
		{"refused", script{mode: config.TLSImplicit, on: in(1, "AUTH", "535 5.7.8 no")}, config.FaultLoginRefused, "127.0.0.1 refuses the login: 535 5.7.8 no"},
		{"hung up on", script{mode: config.TLSImplicit, on: in(1, "AUTH", drop)}, config.FaultLoginRefused, "closes the connection instead of answering AUTH"},
		{"not offered", script{mode: config.TLSImplicit, keywords: []string{"SIZE"}}, config.FaultLoginUnsupported, "does not offer AUTH"},
		{"another mechanism", script{mode: config.TLSImplicit, keywords: []string{"AUTH GSSAPI"}}, config.FaultLoginUnsupported, "it offers GSSAPI"},
		{"not offered in plaintext", script{mode: config.TLSNone, keywords: []string{"STARTTLS"}}, config.FaultLoginUnsupported, "set tls to StartTLS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := newServer(t, tt.script).upstream()
			loginTo(&u)
			r := probeOf(u, impatientProbe())
			if !r.Reachable || r.Fault != "" || r.Usable() || r.Login == nil || r.Login.Authenticated {
				t.Fatalf("report %+v, login %+v", r, r.Login)
			}
			if r.Login.Fault != tt.fault || !strings.Contains(r.Login.Error, tt.says) {
				t.Errorf("found %s: %s", r.Login.Fault, r.Login.Error)
			}
		})
	}
}

func TestProbeShowsNoPassword(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone, on: func(_ int, verb, line string) string {
		if verb == "AUTH" {
			return "535 5.7.8 I do not take " + line
		}
		return ""
	}})
	u := srv.upstream()
	loginTo(&u)
	r := probeOf(u, impatientProbe())
	if r.Login == nil || strings.Contains(r.Login.Error, encode("\x00app\x00"+u.Password)) || !strings.Contains(r.Login.Error, "<redacted>") {
		t.Errorf("login %+v", r.Login)
	}
}
