package delivery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestMessageArrivesInEveryTLSMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []config.TLSMode{config.TLSImplicit, config.TLSStartTLS, config.TLSNone} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, script{mode: mode})
			got := send(newTestPool(t, srv.upstream()), mail(greeting))
			if got[0].err != nil || got[0].reply != "250 2.0.0 Ok: queued as U1" {
				t.Fatalf("verdict %+v", got[0])
			}
			if contents := srv.received(); !slices.Equal(contents, []string{greeting}) {
				t.Errorf("received %q", contents)
			}
			if first := srv.said()[0]; first != "EHLO relay.test" {
				t.Errorf("first command %q", first)
			}
		})
	}
}

func TestKeywordsOfEHLOAreReadInAnyCase(t *testing.T) {
	t.Parallel()
	plain := []string{"starttls", "pipelining"}
	srv := newServer(t, script{mode: config.TLSStartTLS, keywords: plain})
	mustDeliver(t, newTestPool(t, srv.upstream()), mail(greeting))
}

func TestConnectionFaults(t *testing.T) {
	t.Parallel()
	reply := func(verb, text string) func(int, string, string) string {
		return func(_ int, v, _ string) string {
			if v == verb {
				return text
			}
			return ""
		}
	}
	// Only what never comes is waited for in short: a busy machine is late with all the rest.
	const impatience = 50 * time.Millisecond
	tests := []struct {
		name   string
		script script
		change func(*dialer)
		class  Class
		step   Step
		text   string
	}{
		{"certificate for another name", script{mode: config.TLSImplicit, serverName: "other.test"}, nil,
			ClassTLS, StepTLS, "certificate cannot be trusted"},
		{"certificate of an unknown CA", script{mode: config.TLSStartTLS},
			func(d *dialer) { d.upstream.RootCAs = x509.NewCertPool() }, ClassTLS, StepTLS, "certificate cannot be trusted"},
		{"STARTTLS not offered", script{mode: config.TLSStartTLS, keywords: []string{"PIPELINING"}}, nil,
			ClassTLS, StepSTARTTLS, "does not offer STARTTLS"},
		{"STARTTLS refused", script{mode: config.TLSStartTLS, on: reply("STARTTLS", "454 4.7.0 no TLS now")}, nil,
			ClassTLS, StepSTARTTLS, "no TLS now"},
		{"reply injected behind STARTTLS", script{mode: config.TLSStartTLS, injected: "\r\n250-fake\r\n250 AUTH PLAIN"}, nil,
			ClassTLS, StepSTARTTLS, "before the TLS handshake"},
		{"implicit TLS set for an upstream with STARTTLS", script{mode: config.TLSStartTLS},
			func(d *dialer) { d.upstream.TLS = config.TLSImplicit }, ClassTLS, StepTLS, "check its port and TLS mode"},
		{"STARTTLS set for an upstream with implicit TLS", script{mode: config.TLSImplicit},
			func(d *dialer) { d.upstream.TLS, d.timeouts.Greeting = config.TLSStartTLS, impatience }, ClassConnect, StepGreeting, "may expect TLS from the first byte"},
		{"busy greeting", script{mode: config.TLSNone, on: reply("GREETING", "421 4.7.0 too many connections")}, nil,
			ClassThrottle, StepGreeting, "too many connections"},
		{"no service", script{mode: config.TLSNone, on: reply("GREETING", "554 no SMTP service here")}, nil,
			ClassConnect, StepGreeting, "no SMTP service"},
		{"closed before the greeting", script{mode: config.TLSNone, on: reply("GREETING", drop)}, nil,
			ClassConnect, StepGreeting, "EOF"},
		{"no reply to EHLO in time", script{mode: config.TLSNone, on: reply("EHLO", hang)},
			func(d *dialer) { d.timeouts.Command = impatience },
			ClassConnect, StepEHLO, "timeout"},
		{"a reply line without end", script{mode: config.TLSNone, on: reply("EHLO", "250 "+strings.Repeat("x", 1<<20))}, nil,
			ClassConnect, StepEHLO, "longer than 4096"},
		{"a reply of too many lines", script{mode: config.TLSNone, on: reply("EHLO", strings.Repeat("250-x\r\n", 1000)+"250 x")}, nil,
			ClassConnect, StepEHLO, "more than 128 lines"},
		{"something else than SMTP", script{mode: config.TLSNone, on: reply("GREETING", "HTTP/1.1 400 Bad Request")}, nil,
			ClassConnect, StepGreeting, "malformed reply"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, test.script)
			pool := newTestPool(t, srv.upstream())
			if test.change != nil {
				test.change(&pool.dialer)
			}
			err := mustFail(t, pool, mail(greeting))
			if err.Class != test.class || err.Step != test.step || !strings.Contains(err.Text, test.text) {
				t.Errorf("%s at %s: %q", err.Class, err.Step, err.Text)
			}
			if !err.Temporary || !err.concernsUpstream() {
				t.Error("a fault of the upstream must not touch the message")
			}
			if len(srv.received()) > 0 || slices.ContainsFunc(srv.said(), func(s string) bool { return strings.HasPrefix(s, "MAIL") }) {
				t.Error("mail was sent")
			}
		})
	}
}

func TestUpstreamWithoutEHLOGetsHELO(t *testing.T) {
	t.Parallel()
	login := func(u *config.ResolvedUpstream) { u.Username, u.Password = "app", "x" }
	certificate := func(u *config.ResolvedUpstream) { u.ClientCertificate = clientCertificate(t, "relay") }
	tests := []struct {
		name, reply string
		mode        config.TLSMode
		change      func(*config.ResolvedUpstream)
		delivered   bool
	}{
		{"unknown", "500 5.5.1 what", config.TLSNone, nil, true},
		{"not implemented", "502 5.5.1 no", config.TLSImplicit, nil, true},
		{"the certificate was the login", "502 5.5.1 no", config.TLSImplicit, certificate, true},
		{"the name is refused", "501 5.5.4 bad name", config.TLSNone, nil, false},
		{"not now", "450 4.3.2 later", config.TLSNone, nil, false},
		{"STARTTLS is needed", "502 5.5.1 no", config.TLSStartTLS, nil, false},
		{"a login is needed", "502 5.5.1 no", config.TLSImplicit, login, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, script{mode: test.mode, on: answers(map[string]string{"EHLO": test.reply})})
			u := srv.upstream()
			if test.change != nil {
				test.change(&u)
			}
			if test.delivered {
				mustDeliver(t, newTestPool(t, u), mail(greeting))
				if said := srv.said(); said[1] != "HELO relay.test" || said[2] != "MAIL FROM:<app@example.com>" {
					t.Errorf("said %q", said)
				}
				return
			}
			err := mustFail(t, newTestPool(t, u), mail(greeting))
			if err.Step != StepEHLO || err.Reply() != test.reply || len(srv.said()) != 1 {
				t.Errorf("%+v, said %q", err, srv.said())
			}
		})
	}
}

func TestCertificateFaultsSayWhatToChange(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		script script
		change func(*server, *config.ResolvedUpstream)
		advice string
	}{
		{"another name", script{serverName: "other.test"}, nil, "set the upstream's host to a name that it is for"},
		{"unknown CA", script{}, func(_ *server, u *config.ResolvedUpstream) { u.RootCAs = x509.NewCertPool() }, "give the relay the CA that signed it"},
		{"old TLS only", script{}, func(s *server, _ *config.ResolvedUpstream) { s.tls.MaxVersion = tls.VersionTLS11 }, "check that it knows TLS 1.2"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.script.mode = config.TLSImplicit
			srv := newServer(t, test.script)
			u := srv.upstream()
			if test.change != nil {
				test.change(srv, &u)
			}
			if err := mustFail(t, newTestPool(t, u), mail(greeting)); err.Class != ClassTLS || !strings.Contains(err.Text, test.advice) {
				t.Errorf("%s: %q", err.Class, err.Text)
			}
		})
	}
}

func TestRefusedConnectionIsAConnectError(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	u := config.ResolvedUpstream{Upstream: config.Upstream{Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port}}
	if e := mustFail(t, newTestPool(t, u), mail(greeting)); e.Class != ClassConnect || e.Step != StepConnect {
		t.Errorf("%s at %s", e.Class, e.Step)
	}
}

func TestContentThatStallsEndsTheConnection(t *testing.T) {
	t.Parallel()
	client, peer := net.Pipe()
	t.Cleanup(func() { _ = client.Close(); _ = peer.Close() })
	c := &connection{raw: client, timeouts: Timeouts{DataBlock: 20 * time.Millisecond, Quit: 20 * time.Millisecond}}
	c.use(client)
	tr := &transaction{connection: c}
	_, failure := tr.content(&fitted{source: &sourceReader{Reader: strings.NewReader(strings.Repeat("0123456789\r\n", writeBuffer))}})
	if failure == nil || failure.Step != StepContent || failure.Class != ClassConnect || failure.uncertain() {
		t.Fatalf("failure %+v", failure)
	}
	if !c.broken {
		t.Error("the connection is used on")
	}
}

func TestCancelledContextEndsASessionAtOnce(t *testing.T) {
	t.Parallel()
	stuck := make(chan struct{})
	srv := newServer(t, script{mode: config.TLSNone, on: func(_ int, verb, _ string) string {
		if verb == "END" {
			close(stuck)
			return hang
		}
		return ""
	}})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-stuck; cancel() }()
	err := newTestPool(t, srv.upstream()).deliver(ctx, mail(greeting), func() {})[0].err
	if err == nil || !err.uncertain() {
		t.Fatalf("error %v, want one that leaves open whether the message was taken", err)
	}
}

func TestSpoolErrorIsNotTheUpstreamsFault(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	opens := []func() (io.ReadCloser, error){
		func() (io.ReadCloser, error) { return nil, broken },
		func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader(greeting), failingReader{broken})), nil
		},
	}
	for _, open := range opens {
		srv := newServer(t, script{mode: config.TLSNone})
		m := mail(greeting)
		m.open = open
		err := mustFail(t, newTestPool(t, srv.upstream()), m)
		if !errors.Is(err, broken) || err.concernsUpstream() || !err.Temporary {
			t.Errorf("error %+v", err)
		}
		if strings.Contains(err.Reply(), "fire") {
			t.Errorf("%q tells internals", err.Reply())
		}
		if len(srv.received()) > 0 {
			t.Error("half a message was taken for a whole one")
		}
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }
