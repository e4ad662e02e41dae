package delivery

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// envelopeCommands are the MAIL and RCPT commands that a server got.
func (s *server) envelopeCommands() []string {
	return slices.DeleteFunc(s.said(), func(line string) bool {
		return !strings.HasPrefix(line, "MAIL") && !strings.HasPrefix(line, "RCPT")
	})
}

func TestWhatTheSenderWantsToBeToldIsPassedOn(t *testing.T) {
	t.Parallel()
	full := statusRequest{ret: spool.ReturnFull, envelopeID: "order 4711+", recipients: []recipientRequest{
		{"SUCCESS,FAILURE", "rfc822;Bob+x@example.net"}, {spool.NotifyNever, ""}, {"", "utf-8;jürgen@example.net"},
	}}
	for name, test := range map[string]struct {
		keywords []string
		dsn      statusRequest
		utf8     bool
		want     []string
	}{
		"to an upstream that knows it": {[]string{"PIPELINING", "DSN"}, full, false, []string{
			"MAIL FROM:<app@example.com> RET=FULL ENVID=order+204711+2B",
			"RCPT TO:<a@x.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob+2Bx@example.net",
			"RCPT TO:<b@x.test> NOTIFY=NEVER",
			`RCPT TO:<c@x.test> ORCPT=utf-8;j\x{FC}rgen@example.net`,
		}},
		"without pipelining, and with SMTPUTF8": {[]string{"DSN", "SMTPUTF8"}, full, true, []string{
			"MAIL FROM:<app@example.com> SMTPUTF8 RET=FULL ENVID=order+204711+2B",
			"RCPT TO:<a@x.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob+2Bx@example.net",
			"RCPT TO:<b@x.test> NOTIFY=NEVER",
			"RCPT TO:<c@x.test> ORCPT=utf-8;jürgen@example.net",
		}},
		"not to one that does not": {[]string{"PIPELINING"}, full, false, []string{
			"MAIL FROM:<app@example.com>", "RCPT TO:<a@x.test>", "RCPT TO:<b@x.test>", "RCPT TO:<c@x.test>",
		}},
		"and nothing that was not said": {[]string{"DSN"}, statusRequest{}, false, []string{
			"MAIL FROM:<app@example.com>", "RCPT TO:<a@x.test>", "RCPT TO:<b@x.test>", "RCPT TO:<c@x.test>",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, script{mode: config.TLSNone, keywords: test.keywords})
			m := mail(greeting, "a@x.test", "b@x.test", "c@x.test")
			m.dsn, m.smtpUTF8 = test.dsn, test.utf8
			for _, v := range send(newTestPool(t, srv.upstream()), m) {
				if v.err != nil || v.tells != slices.Contains(test.keywords, "DSN") {
					t.Errorf("verdict %+v", v)
				}
			}
			if got := srv.envelopeCommands(); !slices.Equal(got, test.want) {
				t.Errorf("commands\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

// TestRequestsStayWithTheirRecipients splits a message, so that the indices differ.
func TestRequestsStayWithTheirRecipients(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone, keywords: []string{"DSN"}})
	u := srv.upstream()
	u.Limits.RecipientsPerMessage = 2
	r := newTestRelay(t)
	r.useNetwork(u)
	r.run()
	r.submitWith(func(e *spool.Envelope) {
		e.Return, e.EnvelopeID = spool.ReturnHeaders, "QQ1"
		e.Recipients = []spool.Recipient{
			{Address: "done@x.test", Outcome: spool.Delivered},
			{Address: "a@x.test", Notify: spool.NotifySuccess},
			{Address: "b@x.test"},
			{Address: "c@x.test", OriginalRecipient: "rfc822;c@y.test"},
		}
	})
	r.gone()
	want := []string{
		"MAIL FROM:<app@example.com> RET=HDRS ENVID=QQ1", "RCPT TO:<a@x.test> NOTIFY=SUCCESS", "RCPT TO:<b@x.test>",
		"MAIL FROM:<app@example.com> RET=HDRS ENVID=QQ1", "RCPT TO:<c@x.test> ORCPT=rfc822;c@y.test",
	}
	if got := srv.envelopeCommands(); !slices.Equal(got, want) {
		t.Errorf("commands\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestNotificationsAskForNone(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone, keywords: []string{"DSN"}, on: answers(map[string]string{
		"RCPT TO:<a@": "550 5.1.1 no such user", "MAIL FROM:<>": "550 5.7.60 not permitted to send as this sender",
	})})
	r := newTestRelay(t, func(c *config.Config) {
		c.Queue.Postmaster, c.Queue.BounceSender = "postmaster@example.com", "bounces@example.com"
	})
	r.useNetwork(srv.upstream())
	r.run()
	r.submitWith(func(e *spool.Envelope) { e.Return, e.EnvelopeID = spool.ReturnFull, "QQ1" })
	r.gone()
	want := []string{
		"MAIL FROM:<app@example.com> RET=FULL ENVID=QQ1", "RCPT TO:<a@x.test>",
		"MAIL FROM:<>",
		"MAIL FROM:<bounces@example.com>", "RCPT TO:<postmaster@example.com> NOTIFY=NEVER",
	}
	if got := srv.envelopeCommands(); !slices.Equal(got, want) {
		t.Errorf("commands\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// oneCommand is a command with its parameters, of which none may look like two.
var oneCommand = regexp.MustCompile(`^[^ ]+ (FROM|TO):<[^ <>]*>( (RET=(FULL|HDRS)|ENVID=[!-~]+|NOTIFY=[A-Z,]+|ORCPT=[!-~\pL\pM\pN\pP\pS]+|SMTPUTF8))*$`)

// FuzzStatusRequest passes on whatever a spool may hold: a command stays one.
func FuzzStatusRequest(f *testing.F) {
	f.Add("FULL", "QQ1", "SUCCESS", "rfc822;bob@example.net", false)
	f.Add("FULL\r\nRSET", "a\r\nb c=d", "NEVER\r\nDATA", "utf-8;\r\n ü\u2028", true)
	f.Add("", "ü", "NEVER,SUCCESS", "x y;z", true)
	f.Fuzz(func(t *testing.T, ret, envelopeID, notify, original string, smtpUTF8 bool) {
		tx := &transaction{connection: &connection{extensions: extensions{"DSN": "", "SMTPUTF8": ""}}}
		tx.message = mail(greeting)
		tx.message.smtpUTF8 = smtpUTF8
		tx.message.dsn = statusRequest{ret, envelopeID, []recipientRequest{{spool.Notify(notify), original}}}
		for _, line := range []string{tx.mail(), tx.rcpt(0)} {
			if !oneCommand.MatchString(line) {
				t.Fatalf("%q", line)
			}
		}
	})
}
