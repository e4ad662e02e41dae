package delivery

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// An upstream that goes silent at any step is left once the time of that step is over. All
// other steps have an hour.
func TestEveryStepHasADeadline(t *testing.T) {
	t.Parallel()
	const short = 500 * time.Millisecond
	command := func(timeouts *Timeouts) { timeouts.Command = short }
	tests := []struct {
		verb     string
		keywords []string
		limit    func(*Timeouts)
		step     Step
	}{
		{"GREETING", nil, func(timeouts *Timeouts) { timeouts.Greeting = short }, StepGreeting},
		{"EHLO", nil, command, StepEHLO},
		{"STARTTLS", nil, command, StepSTARTTLS},
		{"AUTH", nil, command, StepAUTH},
		{"MAIL", []string{"AUTH PLAIN"}, command, StepMAIL},
		{"RCPT", []string{"AUTH PLAIN"}, command, StepRCPT},
		{"DATA", []string{"AUTH PLAIN"}, func(timeouts *Timeouts) { timeouts.DataStart = short }, StepDATA},
		{"END", []string{"AUTH PLAIN"}, func(timeouts *Timeouts) { timeouts.DataEnd = short }, StepEndOfData},
		{"MAIL", []string{"AUTH PLAIN", "PIPELINING"}, command, StepMAIL},
		{"RCPT", []string{"AUTH PLAIN", "PIPELINING"}, command, StepRCPT},
		{"DATA", []string{"AUTH PLAIN", "PIPELINING"}, func(timeouts *Timeouts) { timeouts.DataStart = short }, StepDATA},
		{"BDAT", []string{"AUTH PLAIN", "CHUNKING"}, func(timeouts *Timeouts) { timeouts.DataEnd = short }, StepEndOfData},
		{"BDAT", []string{"AUTH PLAIN", "CHUNKING", "PIPELINING"}, func(timeouts *Timeouts) { timeouts.DataEnd = short }, StepEndOfData},
	}
	for _, test := range tests {
		t.Run(test.verb+" "+strings.Join(test.keywords, " "), func(t *testing.T) {
			t.Parallel()
			keywords := test.keywords
			if keywords != nil {
				keywords = append(keywords, "STARTTLS")
			}
			srv := newServer(t, script{mode: config.TLSStartTLS, keywords: keywords, on: func(_ int, verb, _ string) string {
				if verb == test.verb {
					return hang
				}
				return ""
			}})
			u := srv.upstream()
			u.Username, u.Password, u.Chunking = "app", "x", true
			p := newTestPool(t, u, func(p *pool) {
				const hour = time.Hour
				p.dialer.timeouts = Timeouts{hour, hour, hour, hour, hour, hour, hour, time.Second}
				test.limit(&p.dialer.timeouts)
			})
			err := mustFail(t, p, mail(greeting))
			if err.Class != ClassConnect || err.Step != test.step || !strings.Contains(err.Text, "timeout") {
				t.Errorf("%s at %s: %q", err.Class, err.Step, err.Text)
			}
		})
	}
}

// A peer that does not read makes writes wait, whichever command they are of.
func TestCommandsThatAreNotTakenEndTheConnection(t *testing.T) {
	t.Parallel()
	client, peer := net.Pipe()
	t.Cleanup(func() { _ = client.Close(); _ = peer.Close() })
	c := &connection{raw: client, timeouts: Timeouts{DataBlock: 20 * time.Millisecond, Command: time.Hour}}
	c.use(client)
	if _, failure := c.command(StepMAIL, "MAIL FROM:<>"); failure == nil || failure.Class != ClassConnect || !c.broken {
		t.Errorf("%+v", failure)
	}
}

func TestHandshakeHasADeadline(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	u := config.ResolvedUpstream{Upstream: config.Upstream{
		Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, TLS: config.TLSImplicit,
	}}
	failure := mustFail(t, newTestPool(t, u, func(p *pool) { p.dialer.timeouts.TLS = 50 * time.Millisecond }), mail(greeting))
	if failure.Class != ClassTLS || failure.Step != StepTLS {
		t.Errorf("%+v", failure)
	}
}
