package dsn

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// reader prints what Python's email package finds in a message.
const reader = `
import email, email.policy, json, sys
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.SMTPUTF8)
parts = list(m.iter_parts())
defects = [str(d) for p in m.walk() for d in p.defects] + [str(d) for v in m.values() for d in v.defects]
defects = [d for d in defects if "on-ASCII" not in d]  # it calls UTF-8 in a header one, as before RFC 6532
groups = [dict(g.items()) for g in parts[1].get_payload()] if parts[1].get_content_type() == "message/delivery-status" else []
returned = parts[2].get_payload()
json.dump({
    "type": m.get_content_type(), "report": m.get_param("report-type"), "to": str(m["To"]), "auto": str(m["Auto-Submitted"]),
    "parts": [p.get_content_type() for p in parts], "defects": defects, "text": parts[0].get_content(), "groups": groups,
    "inner": returned[0]["Subject"] if isinstance(returned, list) else "",
}, sys.stdout)
`

// found is what the reader prints.
type found struct {
	Type, Report, To, Auto, Text, Inner string
	Parts, Defects                      []string
	Groups                              []map[string]string
}

func readByPython(t *testing.T, python string, r Report) (got found) {
	t.Helper()
	var raw, out bytes.Buffer
	if _, err := r.WriteTo(&raw); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", reader)
	cmd.Stdin, cmd.Stdout = &raw, &out
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// TestPythonReadsEveryReport parses notifications with a parser that nobody here wrote.
func TestPythonReadsEveryReport(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is missing: install it, then run go test ./relay/dsn -run TestPythonReadsEveryReport")
	}
	for name, test := range map[string]struct {
		change func(*Report)
		parts  string
		action string
		inner  string
	}{
		"failure":       {func(*Report) {}, "text/plain message/delivery-status text/rfc822-headers", "failed", ""},
		"delay":         {func(r *Report) { r.Recipients[0].Outcome = spool.Pending }, "text/plain message/delivery-status text/rfc822-headers", "delayed", ""},
		"relayed":       {func(r *Report) { r.Recipients[0].Outcome = spool.Delivered }, "text/plain message/delivery-status text/rfc822-headers", "relayed", ""},
		"whole message": {func(r *Report) { r.Full = true }, "text/plain message/delivery-status message/rfc822", "failed", "Order"},
		"8-bit message": {func(r *Report) {
			r.Full, r.Message = true, strings.NewReader("Subject: Order\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n")
		}, "text/plain message/delivery-status message/rfc822", "failed", "Order"},
		"to an international address": {func(r *Report) {
			r.Envelope.ReversePath, r.Envelope.SMTPUTF8 = "jürgen@example.org", true
			r.Message = strings.NewReader("Subject: Müller\r\n\r\n")
		}, "text/plain message/global-delivery-status message/global-headers", "", "Müller"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := report(func(r *Report) {
				r.Envelope.EnvelopeID, r.RemoteMTA = "QQ 314159", "smtp.provider.example"
				r.Recipients[0].OriginalRecipient = "rfc822;Bob@example.net"
			}, test.change)
			got := readByPython(t, python, r)
			if got.Type != "multipart/report" || got.Report != "delivery-status" || got.Auto != "auto-replied" || len(got.Defects) > 0 {
				t.Errorf("%+v", got)
			}
			if strings.Join(got.Parts, " ") != test.parts || got.To != r.Envelope.ReversePath || !strings.Contains(got.Text, "bob@example.net") {
				t.Errorf("parts %v, to %s, text %q", got.Parts, got.To, got.Text)
			}
			if got.Inner != test.inner {
				t.Errorf("subject of the message inside %q", got.Inner)
			}
			if test.action == "" {
				return
			}
			if len(got.Groups) != 2 || got.Groups[0]["Original-Envelope-Id"] != "QQ 314159" || got.Groups[1]["Action"] != test.action ||
				got.Groups[1]["Original-Recipient"] != "rfc822; Bob@example.net" || got.Groups[1]["Remote-MTA"] != "dns; smtp.provider.example" {
				t.Errorf("delivery report %v", got.Groups)
			}
		})
	}
}
