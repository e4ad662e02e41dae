package delivery

import (
	"slices"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/provider"
)

func TestClasses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		step      Step
		text      string
		class     Class
		temporary bool
		upstream  bool
	}{
		{StepGreeting, "421 busy", ClassThrottle, true, true},
		{StepGreeting, "450 busy", ClassThrottle, true, true},
		{StepGreeting, "554 go away", ClassConnect, true, true},
		{StepEHLO, "421 4.7.0 Try again later (EHLO)", ClassThrottle, true, true},
		{StepEHLO, "501 bad name", ClassConnect, true, true},
		{StepSTARTTLS, "454 4.7.0 not now", ClassTLS, true, true},
		{StepSTARTTLS, "501 no", ClassTLS, true, true},
		{StepAUTH, "535 5.7.8 wrong", ClassAuthentication, true, true},
		{StepAUTH, "534 5.7.9 too weak", ClassAuthentication, true, true},
		{StepAUTH, "550 5.7.30 basic authentication is off", ClassAuthentication, true, true},
		{StepAUTH, "454 4.7.0 try later", ClassThrottle, true, true},
		{StepAUTH, "432 4.3.2 concurrent connections", ClassThrottle, true, true},
		{StepMAIL, "530 5.7.0 Must issue a STARTTLS command first", ClassTLS, true, true},
		{StepMAIL, "530 5.7.0 Authentication required", ClassAuthentication, true, true},
		{StepRCPT, "530 5.7.1 Authentication required", ClassRecipient, true, false},
		{StepRCPT, "530 5.7.0 Must issue a STARTTLS command first", ClassRecipient, true, false},
		{StepRCPT, "535 5.7.8 no", ClassRecipient, true, false},
		{StepDATA, "530 5.7.0 Authentication required", ClassMessage, true, false},
		{StepEndOfData, "534 5.7.9 no", ClassMessage, true, false},
		{StepMAIL, "421 4.4.2 bye", ClassThrottle, true, false},
		{StepMAIL, "452 4.3.1 disk full", ClassThrottle, true, false},
		{StepMAIL, "454 Throttling failure: Maximum sending rate exceeded", ClassThrottle, true, false},
		{StepMAIL, "450 4.1.8 domain not found", ClassThrottle, true, false},
		{StepMAIL, "550 5.4.5 Daily sending limit exceeded", ClassThrottle, true, false},
		{StepMAIL, "550 5.7.1 sender refused", ClassSender, false, false},
		{StepMAIL, "553 5.1.8 sender refused", ClassSender, false, false},
		{StepMAIL, "552 5.3.4 too large", ClassMessage, false, false},
		{StepMAIL, "555 5.6.7 SMTPUTF8", ClassMessage, false, false},
		{StepRCPT, "450 4.2.0 greylisted", ClassRecipient, true, false},
		{StepRCPT, "450 4.7.1 too fast", ClassThrottle, true, false},
		{StepRCPT, "452 4.5.3 too many recipients", ClassRecipient, true, false},
		{StepRCPT, "421 4.7.0 too many errors", ClassThrottle, true, false},
		{StepRCPT, "550 5.1.1 unknown", ClassRecipient, false, false},
		{StepRCPT, "554 relay access denied", ClassRecipient, false, false},
		{StepDATA, "451 4.3.0 local error", ClassThrottle, true, false},
		{StepDATA, "450 hold on", ClassMessage, true, false},
		{StepDATA, "554 5.5.1 no", ClassMessage, false, false},
		{StepEndOfData, "454 Throttling failure: Daily message quota exceeded", ClassThrottle, true, false},
		{StepEndOfData, "550 5.4.5 Daily user sending limit exceeded", ClassThrottle, true, false},
		{StepEndOfData, "550 5.7.1 spam", ClassMessage, false, false},
		{StepEndOfData, "451 scanner down", ClassMessage, true, false},
		{StepContent, "552 5.2.3 too large", ClassMessage, false, false},
		{StepMAIL, "354 what", ClassConnect, true, false},
		{StepEHLO, "220 again", ClassConnect, true, true},
	}
	for _, test := range tests {
		answer, err := parseReply(test.text + "\r\n")
		if err != nil {
			t.Fatal(err)
		}
		e := classify(test.step, answer)
		if e.Class != test.class || e.Temporary != test.temporary || e.concernsUpstream() != test.upstream {
			t.Errorf("%s at %s: class %s, temporary %t, of the upstream %t", test.text, test.step, e.Class, e.Temporary, e.concernsUpstream())
		}
		if !strings.Contains(e.Error(), test.text) {
			t.Errorf("error %q does not tell of %q", e, test.text)
		}
		if e.uncertain() {
			t.Errorf("%s at %s: a reply leaves nothing open", test.text, test.step)
		}
	}
}

func TestNoReplyOfAnUpstreamIsWithoutClass(t *testing.T) {
	t.Parallel()
	inTransaction := []Step{StepRCPT, StepDATA, StepContent, StepEndOfData}
	for _, step := range []Step{StepGreeting, StepEHLO, StepSTARTTLS, StepAUTH, StepMAIL, StepRCPT, StepDATA, StepContent, StepEndOfData} {
		for code := 200; code < 600; code++ {
			if e := classify(step, reply{code: code, lines: []string{""}}); e.Class == "" {
				t.Errorf("%d at %s has no class", code, step)
			} else if e.concernsUpstream() && !e.Temporary {
				t.Errorf("%d at %s would bounce mail for a fault of the upstream", code, step)
			} else if e.concernsUpstream() && slices.Contains(inTransaction, step) {
				t.Errorf("%d at %s would let one message hold back all others", code, step)
			}
		}
	}
}

func TestAProvidersRulesComeFirst(t *testing.T) {
	t.Parallel()
	rules := []provider.Rule{{Code: 554, Text: "NOT VERIFIED", Class: string(ClassSender), Temporary: true}}
	tests := []struct {
		name      string
		err       *Error
		class     Class
		temporary bool
	}{
		{"its own reading", classify(StepEndOfData, reply{code: 554, lines: []string{"Message rejected: Email address is not verified."}}), ClassSender, true},
		{"that of all upstreams", classify(StepEndOfData, reply{code: 554, lines: []string{"No"}}), ClassMessage, false},
		{"a refusal of the relay's own", refusal(ClassMessage, StepMAIL, 554, "5.6.3", "not verified"), ClassMessage, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			interpret([]verdict{{}, {err: tt.err}}, rules)
			if tt.err.Class != tt.class || tt.err.Temporary != tt.temporary {
				t.Errorf("class %s, temporary %v; want %s, %v", tt.err.Class, tt.err.Temporary, tt.class, tt.temporary)
			}
		})
	}
}
