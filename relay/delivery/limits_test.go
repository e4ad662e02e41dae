package delivery

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

func TestLimitsOfAnUpstreamAreRead(t *testing.T) {
	t.Parallel()
	tests := []struct {
		line string
		want limits
	}{
		{"LIMITS MAILMAX=10 RCPTMAX=20 RCPTDOMAINMAX=3", limits{10, 20, 3}},
		{"limits rcptmax=20", limits{recipients: 20}},
		{"LIMITS", limits{}},
		{"LIMITS RCPTMAX=0 MAILMAX=-1 RCPTDOMAINMAX=x FUTURE=1 RCPTMAX", limits{}},
		{"LIMITS RCPTMAX=99999999999999999999", limits{}},
	}
	for _, test := range tests {
		if got := parseExtensions([]string{"upstream.test", test.line}).limits(); got != test.want {
			t.Errorf("%s: %+v", test.line, got)
		}
	}
}

// envelopes are the recipients of each transaction that a server saw.
func (s *server) envelopes() [][]string {
	var all [][]string
	for _, line := range s.said() {
		if strings.HasPrefix(line, "MAIL") {
			all = append(all, nil)
		}
		if address, ok := strings.CutPrefix(line, "RCPT TO:<"); ok {
			all[len(all)-1] = append(all[len(all)-1], strings.TrimSuffix(address, ">"))
		}
	}
	return all
}

func TestRecipientsAreSplitByTheLimitsOfTheUpstream(t *testing.T) {
	t.Parallel()
	mixed := []string{"a@one.test", "b@two.test", "c@ONE.test", "d@three.test", "e@two.test"}
	tests := []struct {
		name, limits string
		refuse       map[string]string
		want         [][]string
		connections  int
	}{
		{"recipients", "RCPTMAX=2", nil, [][]string{{mixed[0], mixed[1]}, {mixed[2], mixed[3]}, {mixed[4]}}, 1},
		{"recipients that are refused count", "RCPTMAX=2", map[string]string{"RCPT TO:<a@": "550 5.1.1 no", "RCPT TO:<b@": "450 4.2.1 later"},
			[][]string{{mixed[0], mixed[1]}, {mixed[2], mixed[3]}, {mixed[4]}}, 1},
		{"domains", "RCPTDOMAINMAX=1", nil, [][]string{{mixed[0], mixed[2]}, {mixed[1], mixed[4]}, {mixed[3]}}, 3},
		{"two domains", "RCPTDOMAINMAX=2", nil, [][]string{{mixed[0], mixed[1], mixed[2], mixed[4]}, {mixed[3]}}, 2},
		{"messages", "RCPTMAX=2 MAILMAX=2", nil, [][]string{{mixed[0], mixed[1]}, {mixed[2], mixed[3]}, {mixed[4]}}, 2},
		{"none", "", nil, [][]string{mixed}, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, script{mode: config.TLSNone, keywords: []string{"PIPELINING", "LIMITS " + test.limits}, on: answers(test.refuse)})
			r := newTestRelay(t)
			r.useNetwork(srv.upstream())
			r.run()
			id := r.submit("", mixed...)
			eventually(t, "all transactions", func() bool { return len(srv.received()) >= len(test.want)-len(test.refuse)/2 })
			r.rest()
			if got := srv.envelopes(); fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("transactions for %q, want %q", got, test.want)
			}
			if n := srv.connections(); n != test.connections {
				t.Errorf("%d connections, want %d", n, test.connections)
			}
			if n := r.counted("mailrelay_upstream_errors_total", "recipient", "test"); int(n) != len(test.refuse) {
				t.Errorf("%v errors counted", n)
			}
			if test.refuse == nil {
				r.gone()
				return
			}
			if e := r.envelope(id); e.Recipients[0].Outcome != spool.Bounced || e.Recipients[1].Outcome != spool.Pending || e.Attempts != 1 {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestOneRecipientThatWaitsDoesNotHoldBackTheRest(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone, keywords: []string{"LIMITS RCPTMAX=1"}, on: answers(map[string]string{"RCPT TO:<full@": "452 4.2.2 mailbox full"})})
	r := newTestRelay(t)
	r.useNetwork(srv.upstream())
	r.run()
	id := r.submit("app@example.com", "full@x.test", "a@x.test", "b@x.test")
	eventually(t, "the others", func() bool { return len(srv.received()) == 2 })
	r.rest()
	var outcomes []spool.Outcome
	for _, recipient := range r.envelope(id).Recipients {
		outcomes = append(outcomes, recipient.Outcome)
	}
	if want := []spool.Outcome{spool.Pending, spool.Delivered, spool.Delivered}; !slices.Equal(outcomes, want) {
		t.Errorf("outcomes %q", outcomes)
	}
}

func TestConnectionEndsAfterTheMessagesThatTheUpstreamAllows(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone, keywords: []string{"LIMITS MAILMAX=2"}})
	p := newTestPool(t, srv.upstream())
	for range 5 {
		mustDeliver(t, p, mail(greeting))
	}
	if srv.connections() != 3 {
		t.Errorf("%d connections", srv.connections())
	}
}
