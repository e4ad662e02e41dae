package provider

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// classes and steps that a rule can have.
var (
	classes = []string{connect, tls, authentication, throttle, sender, message, recipient}
	steps   = []string{"", greeting, ehlo, startTLS, auth, mail, rcpt, data, content, endOfData}
)

func TestEveryRuleCanMatch(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, rules []Rule) {
		for i, r := range rules {
			switch {
			case !slices.Contains(classes, r.Class):
				t.Errorf("rule %d has the class %q", i, r.Class)
			case !slices.Contains(steps, r.Step):
				t.Errorf("rule %d has the step %q", i, r.Step)
			case r.Text != strings.ToUpper(r.Text):
				t.Errorf("rule %d: the text %q is compared in upper case", i, r.Text)
			case r.Code != 0 && (r.Code < 4 || r.Code > 599):
				t.Errorf("rule %d has the code %d", i, r.Code)
			}
		}
	}
	check(t, Common())
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, Lookup(name).Rules)
		})
	}
}

var nameForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

func TestEveryProviderCanBeReached(t *testing.T) {
	t.Parallel()
	for _, name := range Names() {
		p := Lookup(name)
		if p.Implicit == 0 && p.StartTLS == 0 {
			t.Errorf("%s takes mail on no port", name)
		}
		if (p.Host == "") == (p.HostExample == "") {
			t.Errorf("%s: Host %q, HostExample %q: want one of them", name, p.Host, p.HostExample)
		}
		if p.Title == "" || p.Login == "" || p.Setup == "" || !nameForm.MatchString(name) {
			t.Errorf("%s lacks something: %+v", name, p)
		}
		for _, r := range p.Limits.Rates {
			if r.Messages+r.Recipients == 0 || r.Period < time.Second {
				t.Errorf("%s has the rate %+v", name, r)
			}
		}
	}
}

func TestLookupOfAnUnknownProvider(t *testing.T) {
	t.Parallel()
	if p := Lookup("nobody"); p != nil || p.ReplyRules() != nil {
		t.Errorf("Lookup = %+v", p)
	}
}

func TestRuleMatches(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		rule Rule
		want bool
	}{
		{"empty", Rule{}, true},
		{"step", Rule{Step: "MAIL"}, true},
		{"other step", Rule{Step: "RCPT"}, false},
		{"code", Rule{Code: 554}, true},
		{"first digits", Rule{Code: 55}, true},
		{"first digit", Rule{Code: 5}, true},
		{"other code", Rule{Code: 45}, false},
		{"enhanced code", Rule{Enhanced: "2.252"}, true},
		{"start of it is not all", Rule{Enhanced: "2.25"}, false},
		{"subject", Rule{Enhanced: "2."}, true},
		{"text in any case", Rule{Text: "SENDASDENIED"}, true},
		{"other text", Rule{Text: "QUOTA"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.rule.Matches("MAIL", 554, "5.2.252", "SendAsDenied; app@example.com"); got != tt.want {
				t.Errorf("Matches = %v", got)
			}
		})
	}
}
