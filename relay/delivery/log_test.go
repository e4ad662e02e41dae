package delivery

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// lines are the log lines of deliveries.
func (r *testRelay) lines() []map[string]any {
	r.Helper()
	var lines []map[string]any
	for line := range strings.Lines(r.logs.String()) {
		fields := make(map[string]any)
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			r.Fatal(err)
		}
		if fields["msg"] == "delivery" {
			lines = append(lines, fields)
		}
	}
	return lines
}

func TestAttemptIsOneLineForEachReply(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.first().answer = func(_ int, recipient string) *Error {
		switch recipient {
		case "never@x.test":
			return errUnknown
		case "later@x.test":
			return errGrey
		}
		return nil
	}
	r.run()
	id := r.submit("", "a@x.test", "b@x.test", "later@x.test", "never@x.test")
	eventually(t, "the lines", func() bool { return len(r.lines()) == 3 })
	want := []map[string]any{
		{"level": "INFO", "result": "delivered", "recipients": []any{"a@x.test", "b@x.test"}, "reply": "250 2.0.0 queued"},
		{"level": "WARN", "result": "deferred", "recipients": []any{"later@x.test"}, "reply": "450 4.2.0 greylisted", "class": "recipient",
			"next_attempt": "2026-03-01T12:01:00Z"},
		{"level": "WARN", "result": "bounced", "recipients": []any{"never@x.test"}, "reply": "550 5.1.1 no such user", "class": "recipient"},
	}
	common := map[string]any{"queue_id": id, "message_id": "<1@app.test>", "user": "app", "sender": "",
		"size": float64(len(greeting)), "upstream": "first", "attempts": 1.0}
	for i, line := range r.lines() {
		for _, fields := range []map[string]any{want[i], common} {
			for key, value := range fields {
				if got, _ := json.Marshal(line[key]); string(got) != marshal(t, value) {
					t.Errorf("line %d: %s is %s, want %v", i, key, got, value)
				}
			}
		}
	}
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestLogHidesRecipientsAlsoInReplies(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{config.RecipientsDomain, config.RecipientsHash} {
		r := newTestRelay(t, func(c *config.Config) { c.Logging.Recipients = mode })
		r.first().answer = always(&Error{Class: ClassRecipient, Step: StepRCPT, Code: 550, Text: "<bob@x.test>: unknown"})
		r.run()
		r.submit("", "bob@x.test")
		r.gone()
		if logs := r.logs.String(); strings.Contains(logs, "bob@") || len(r.lines()) != 1 {
			t.Errorf("%s: %s", mode, logs)
		}
	}
}
