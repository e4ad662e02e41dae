package relay_test

import (
	"net/smtp"
	"strings"
	"testing"
)

// say sends a command and wants a reply with the code.
func say(t *testing.T, c *smtp.Client, code int, command string) {
	t.Helper()
	id, err := c.Text.Cmd("%s", command)
	if err != nil {
		t.Fatal(err)
	}
	c.Text.StartResponse(id)
	defer c.Text.EndResponse(id)
	if _, _, err := c.Text.ReadResponse(code); err != nil {
		t.Fatalf("%.60s: %v", command, err)
	}
}

func TestSuccessIsReportedWhereTheUpstreamReportsNone(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	r := newSite(t, u).start()
	c := r.dial(t, "submissions")
	if err := r.login(c, "app.shop", r.site.password); err != nil {
		t.Fatal(err)
	}
	say(t, c, 250, "MAIL FROM:<app@example.com> RET=FULL ENVID=QQ314159")
	say(t, c, 250, "RCPT TO:<bob@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@Example.net")
	say(t, c, 250, "RCPT TO:<carol@example.net>")
	say(t, c, 354, "DATA")
	say(t, c, 250, "From: app@example.com\r\nSubject: tell me\r\n\r\nsecret body\r\n.")
	var report received
	eventually(t, "the report", func() (found bool) { report, found = u.find("report-type=delivery-status"); return found })
	if report.from != "" || len(report.to) != 1 || report.to[0] != "app@example.com" {
		t.Errorf("from %q to %q", report.from, report.to)
	}
	for _, want := range []string{
		"Action: relayed\r\n", "Original-Envelope-Id: QQ314159\r\n", "Original-Recipient: rfc822; Bob@Example.net\r\n",
		"Reporting-MTA: dns; " + hostname + "\r\n", "Subject: tell me\r\n", "Auto-Submitted: auto-replied\r\n",
	} {
		if !strings.Contains(report.content, want) {
			t.Errorf("%q is missing in\n%s", want, report.content)
		}
	}
	if strings.Contains(report.content, "carol@") || strings.Contains(report.content, "secret body") {
		t.Errorf("the report tells too much:\n%s", report.content)
	}
}
