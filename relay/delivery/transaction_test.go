package delivery

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// pipelining are the keywords of an upstream with and without PIPELINING.
var pipelining = map[string][]string{
	"pipelined": {"PIPELINING", "SIZE 1000000", "8BITMIME"},
	"stepwise":  {"SIZE 1000000", "8BITMIME"},
}

// inBothWays runs a test against an upstream with PIPELINING and one without.
func inBothWays(t *testing.T, f func(t *testing.T, keywords []string)) {
	t.Helper()
	for name, keywords := range pipelining {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, keywords)
		})
	}
}

// answers replies to commands that start with a key.
func answers(replies map[string]string) func(int, string, string) string {
	return func(_ int, verb, line string) string {
		if verb == "END" {
			line = verb
		}
		for start, reply := range replies {
			if strings.HasPrefix(line, start) {
				return reply
			}
		}
		return ""
	}
}

func TestEachRecipientGetsItsOwnVerdict(t *testing.T) {
	t.Parallel()
	inBothWays(t, func(t *testing.T, keywords []string) {
		srv := newServer(t, script{mode: config.TLSNone, keywords: keywords, on: answers(map[string]string{
			"RCPT TO:<later@": "450 4.2.1 mailbox busy",
			"RCPT TO:<never@": "550 5.1.1 no such user",
		})})
		verdicts := send(newTestPool(t, srv.upstream()), mail(greeting, "a@x.test", "later@x.test", "never@x.test", "bad\r\nRSET@x.test", "b@x.test"))
		want := []string{"", "450 4.2.1 mailbox busy", "550 5.1.1 no such user", "553 5.1.3 the recipient address is not valid", ""}
		for i, v := range verdicts {
			got := ""
			if v.err != nil {
				got = v.err.Reply()
				if v.err.Class != ClassRecipient || v.err.Temporary != strings.HasPrefix(want[i], "4") {
					t.Errorf("recipient %d: %+v", i, v.err)
				}
			}
			if got != want[i] || got == "" && v.reply == "" {
				t.Errorf("recipient %d: error %q, reply %q", i, got, v.reply)
			}
		}
		if !slices.Equal(srv.received(), []string{greeting}) {
			t.Errorf("received %q", srv.received())
		}
	})
}

func TestRefusedTransactionSendsNoContentAndLeavesTheConnectionUsable(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, at, reply string
		class           Class
		temporary       bool
	}{
		{"MAIL refused", "MAIL FROM:<refused@", "550 5.7.1 not you", ClassSender, false},
		{"MAIL deferred", "MAIL FROM:<refused@", "451 4.3.0 not now", ClassThrottle, true},
		{"recipient refused", "RCPT TO:<refused@", "550 5.1.1 unknown", ClassRecipient, false},
		{"message refused before content", "DATA", "554 5.7.1 no", ClassMessage, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			inBothWays(t, func(t *testing.T, keywords []string) {
				var over atomic.Bool
				refuse := answers(map[string]string{test.at: test.reply})
				srv := newServer(t, script{mode: config.TLSNone, keywords: keywords, on: func(n int, verb, line string) string {
					if over.Load() {
						return ""
					}
					return refuse(n, verb, line)
				}})
				p := newTestPool(t, srv.upstream())
				m := mail(greeting, "refused@x.test")
				m.reversePath = "refused@x.test"
				err := mustFail(t, p, m)
				if err.Class != test.class || err.Temporary != test.temporary || err.Reply() != test.reply {
					t.Errorf("error %+v", err)
				}
				over.Store(true)
				mustDeliver(t, p, mail(greeting))
				if srv.connections() != 1 || !slices.Contains(srv.said(), "RSET") {
					t.Errorf("%d connections, said %q", srv.connections(), srv.said())
				}
				last := srv.received()
				if last[len(last)-1] != greeting || len(strings.Join(last[:len(last)-1], "")) > 0 {
					t.Errorf("received %q", last)
				}
			})
		})
	}
}

func TestPipelinedDATAWithoutRecipientsSendsOnlyTheDot(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone, on: answers(map[string]string{
		"RCPT": "550 5.1.1 unknown", "END": "554 5.5.1 no valid recipients",
	})})
	if err := mustFail(t, newTestPool(t, srv.upstream()), mail(greeting)); err.Reply() != "550 5.1.1 unknown" {
		t.Errorf("error %v", err)
	}
	if got := srv.bytes(); !strings.Contains(got, "DATA\r\n.\r\n") || len(srv.received()) != 0 {
		t.Errorf("sent %q, want no more than a dot", got)
	}
}

func TestNobodyIsSentABlankMessage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, at, reply string
		delivered       bool
	}{
		{"a login is wanted for one recipient", "RCPT TO:<b@", "530 5.7.0 Authentication required", true},
		{"TLS is wanted for one recipient", "RCPT TO:<b@", "530 5.7.0 Must issue a STARTTLS command first", true},
		{"a login is refused for one recipient", "RCPT TO:<b@", "535 5.7.8 no", true},
		{"a reply that makes no sense", "RCPT TO:<b@", "399 what", false},
		{"a reply that is for DATA", "RCPT TO:<b@", "354 go ahead", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			inBothWays(t, func(t *testing.T, keywords []string) {
				srv := newServer(t, script{mode: config.TLSNone, keywords: keywords, on: answers(map[string]string{test.at: test.reply})})
				p := newTestPool(t, srv.upstream())
				verdicts := send(p, mail(greeting, "a@x.test", "b@x.test", "c@x.test"))
				for i, v := range verdicts {
					if accepted := test.delivered && i != 1; accepted != (v.err == nil) {
						t.Errorf("recipient %d: %+v", i, v.err)
					}
					if v.err != nil && (!v.err.Temporary || v.err.concernsUpstream()) {
						t.Errorf("recipient %d: %+v", i, v.err)
					}
				}
				var want []string
				if test.delivered {
					want = []string{greeting}
				}
				if got := srv.received(); !slices.Equal(got, want) {
					t.Errorf("received %q, want %q", got, want)
				}
			})
		})
	}
}

func TestNoBlankMessageFromAnUpstreamThatTakesRecipientsWithoutMAIL(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone, on: answers(map[string]string{
		"MAIL": "550 5.7.1 not you", "RCPT": "250 2.1.5 Ok",
	})})
	p := newTestPool(t, srv.upstream())
	if err := mustFail(t, p, mail(greeting)); err.Class != ClassSender || len(p.idle) != 0 {
		t.Errorf("%+v, %d connections kept", err, len(p.idle))
	}
	if got := srv.received(); len(got) != 0 {
		t.Errorf("received %q", got)
	}
}

func TestTooManyRecipientsIsTemporaryOnceOneWasTaken(t *testing.T) {
	t.Parallel()
	for _, reply := range []string{"552 too many recipients", "552 5.5.3 too many recipients", "550 5.5.3 too many recipients"} {
		inBothWays(t, func(t *testing.T, keywords []string) {
			srv := newServer(t, script{mode: config.TLSNone, keywords: keywords, on: answers(map[string]string{
				"RCPT TO:<first@": reply, "RCPT TO:<last@": reply, "END": "451 4.3.0 not now",
			})})
			verdicts := send(newTestPool(t, srv.upstream()), mail(greeting, "first@x.test", "a@x.test", "last@x.test"))
			if verdicts[0].err.Temporary || !verdicts[1].err.Temporary || !verdicts[2].err.Temporary {
				t.Errorf("%s: %+v, %+v, %+v", reply, verdicts[0].err, verdicts[1].err, verdicts[2].err)
			}
		})
	}
}

func TestOneFlightCarriesTheEnvelope(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone, keywords: pipelining["pipelined"]})
	recipients := make([]string, 250)
	for i := range recipients {
		recipients[i] = fmt.Sprintf("r%d@x.test", i)
	}
	mustDeliver(t, newTestPool(t, srv.upstream()), mail(greeting, recipients...))
	said := srv.said()[1:]
	if len(said) != 252 || !strings.HasPrefix(said[0], "MAIL") || said[250] != "RCPT TO:<r249@x.test>" || said[251] != "DATA" {
		t.Errorf("%d commands: %q ... %q", len(said), said[0], said[len(said)-1])
	}
}

func TestParametersOfMAIL(t *testing.T) {
	t.Parallel()
	all := []string{"SIZE 1000", "8BITMIME", "SMTPUTF8"}
	tests := []struct {
		name     string
		keywords []string
		change   func(*message)
		want     string
	}{
		{"size", all, func(*message) {}, "MAIL FROM:<app@example.com> SIZE=22"},
		{"null reverse-path", all, func(m *message) { m.reversePath = "" }, "MAIL FROM:<> SIZE=22"},
		{"8-bit", all, func(m *message) { m.eightBit = true }, "MAIL FROM:<app@example.com> SIZE=22 BODY=8BITMIME"},
		{"8-bit to an upstream that does not know it", []string{"SIZE"}, func(m *message) { m.eightBit = true }, "MAIL FROM:<app@example.com> SIZE=22"},
		{"SMTPUTF8 by header", all, func(m *message) { m.smtpUTF8 = true }, "MAIL FROM:<app@example.com> SIZE=22 BODY=8BITMIME SMTPUTF8"},
		{"SMTPUTF8 by recipient", all, func(m *message) { m.recipients = []string{"bücher@x.test"} }, "MAIL FROM:<app@example.com> SIZE=22 BODY=8BITMIME SMTPUTF8"},
		{"an upstream without extensions", []string{"HELP"}, func(*message) {}, "MAIL FROM:<app@example.com>"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, script{mode: config.TLSNone, keywords: test.keywords})
			m := mail(greeting)
			test.change(&m)
			mustDeliver(t, newTestPool(t, srv.upstream()), m)
			if got := srv.said()[1]; got != test.want {
				t.Errorf("said %q, want %q", got, test.want)
			}
		})
	}
}

func TestWhatTheUpstreamCannotTakeIsRefusedForGoodWithoutAsking(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		keywords []string
		change   func(*message)
		enhanced string
		class    Class
	}{
		{"too large", []string{"SIZE 21"}, func(*message) {}, "5.3.4", ClassMessage},
		{"header needs SMTPUTF8", []string{"8BITMIME"}, func(m *message) { m.smtpUTF8 = true }, "5.6.7", ClassMessage},
		{"sender needs SMTPUTF8", []string{"8BITMIME"}, func(m *message) { m.reversePath = "ü@x.test" }, "5.6.7", ClassMessage},
		{"recipient needs SMTPUTF8", []string{"8BITMIME"}, func(m *message) { m.recipients = []string{"ü@x.test"} }, "5.6.7", ClassRecipient},
		{"sender with parameters", nil, func(m *message) { m.reversePath = "a@x.test> SIZE=1" }, "5.1.7", ClassSender},
		{"recipient with parameters", nil, func(m *message) { m.recipients = []string{"a@x.test> NOTIFY=NEVER"} }, "5.1.3", ClassRecipient},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, script{mode: config.TLSNone, keywords: test.keywords})
			m := mail(greeting)
			test.change(&m)
			err := mustFail(t, newTestPool(t, srv.upstream()), m)
			if err.Enhanced != test.enhanced || err.Class != test.class || err.Temporary {
				t.Errorf("error %+v", err)
			}
			if said := srv.said(); len(said) != 1 {
				t.Errorf("said %q", said)
			}
		})
	}
}

func TestAddressesThatCouldEndACommandAreNotWireSafe(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"", "a\r\n@x", "a\n@x", "a<@x", "a>@x", "a b@x", "a\t@x", "a\x00@x", "a\x7f@x", "a\u0085@x", "a\u2028@x",
		"a\xff@x", strings.Repeat("a", 255),
	} {
		if wireSafe(bad) {
			t.Errorf("%q is taken", bad)
		}
	}
	for _, good := range []string{"a@x.test", "o'neil+tag@x.test", "bücher@例え.test"} {
		if !wireSafe(good) {
			t.Errorf("%q is refused", good)
		}
	}
}

func TestClosingReplyInsideATransaction(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"RCPT TO:<b@", "DATA"} {
		inBothWays(t, func(t *testing.T, keywords []string) {
			srv := newServer(t, script{mode: config.TLSNone, keywords: keywords, on: answers(map[string]string{at: "421 4.3.2 going down"})})
			verdicts := send(newTestPool(t, srv.upstream()), mail(greeting, "a@x.test", "b@x.test"))
			for i, v := range verdicts {
				if v.err == nil || v.err.Class != ClassThrottle || v.err.concernsUpstream() {
					t.Errorf("recipient %d: %+v", i, v.err)
				}
			}
			if len(srv.received()) != 0 {
				t.Error("content was sent")
			}
		})
	}
}

func TestUnexpectedReplyIsTakenForNothing(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"MAIL", "RCPT", "DATA", "END"} {
		inBothWays(t, func(t *testing.T, keywords []string) {
			srv := newServer(t, script{mode: config.TLSNone, keywords: keywords, on: answers(map[string]string{at: "399 what"})})
			p := newTestPool(t, srv.upstream())
			if err := mustFail(t, p, mail(greeting)); !err.Temporary || err.Class != ClassConnect {
				t.Errorf("error %+v", err)
			}
			if len(p.idle) != 0 {
				t.Error("the connection is used on")
			}
		})
	}
}
