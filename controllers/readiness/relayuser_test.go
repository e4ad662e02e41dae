package readiness

import (
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestRelayUser(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name                       string
		change                     func(*UserFacts)
		reason                     string
		ready, working, forAPerson metav1.ConditionStatus
	}{
		{"all is well", func(*UserFacts) {}, "CredentialsReady", yes, no, no},
		{"no relay", func(f *UserFacts) { *f = UserFacts{User: f.User} }, "RelayMissing", no, no, yes},
		{"refused", func(f *UserFacts) { f.RefusedReason, f.RefusedMessage = "NotLetIn", "add a rule" }, "NotLetIn", no, no, yes},
		{"foreign Secret", func(f *UserFacts) { f.NotOurs, f.SecretWritten, f.Loaded = []string{"Secret app"}, false, false }, "NameTaken", no, no, yes},
		{"no CA yet", func(f *UserFacts) { f.CAKnown, f.SecretWritten, f.Loaded = false, false, false }, "WaitingForCertificate", no, yes, no},
		{"relay paused", func(f *UserFacts) { f.RelayPaused, f.SecretWritten, f.Loaded = true, false, false }, "RelayPaused", no, no, yes},
		{"relay paused later", func(f *UserFacts) { f.RelayPaused = true }, "CredentialsReady", yes, no, no},
		{"rotation due while paused", func(f *UserFacts) { f.RelayPaused, f.Due = true, []string{"the password, since it has leaked"} }, "CredentialsReady", yes, no, yes},
		{"rotating", func(f *UserFacts) { f.Rotating = true }, "CredentialsReady", yes, yes, no},
		{"not written", func(f *UserFacts) { f.SecretWritten, f.Loaded = false, false }, "WritingCredentials", no, no, no},
		{"tokens", func(f *UserFacts) { f.Tokens = &Tokens{Verifiable: true} }, "CredentialsReady", yes, no, no},
		{"tokens, keys outdated", func(f *UserFacts) { f.Tokens = &Tokens{Verifiable: true, Problem: "forbidden"} }, "TokenKeysOutdated", yes, no, no},
		{"tokens without keys", func(f *UserFacts) { f.Tokens, f.Loaded = &Tokens{Problem: "forbidden"}, false }, "TokenKeysUnknown", no, yes, no},
		{"tokens, keys on their way", func(f *UserFacts) { f.Tokens, f.Loaded = &Tokens{}, false }, "LoadingCredentials", no, yes, no},
		{"no room", func(f *UserFacts) { f.LeftOut, f.Loaded = true, false }, "NoRoom", no, no, yes},
		{"not loaded", func(f *UserFacts) { f.Loaded = false }, "LoadingCredentials", no, yes, no},
		{"certificate not asked for", func(f *UserFacts) { f.Client, f.SecretWritten = &ClientCertificate{Needed: true}, false }, "SigningCertificate", no, yes, no},
		{"certificate not signed", func(f *UserFacts) { f.Client = &ClientCertificate{Needed: true, Request: "mail/relay-client-1"} }, "SigningCertificate", no, yes, no},
		{"certificate refused", func(f *UserFacts) { f.Client = &ClientCertificate{Needed: true, Refusal: "denied"} }, "CertificateRefused", no, no, yes},
		{"nobody to sign", func(f *UserFacts) { f.Client = &ClientCertificate{Needed: true, CertManagerMissing: true} }, "CertManagerMissing", no, no, yes},
		{"certificate that is not needed", func(f *UserFacts) { f.Client = &ClientCertificate{Request: "mail/relay-client-1"} }, "CredentialsReady", yes, yes, no},
		{"certificate refused that is not needed", func(f *UserFacts) { f.Client = &ClientCertificate{Refusal: "denied"} }, "CredentialsReady", yes, no, yes},
		{"certificate being renewed", func(f *UserFacts) { f.Client = &ClientCertificate{Usable: true, Request: "mail/relay-client-1"} }, "CredentialsReady", yes, yes, no},
		{"renewal refused", func(f *UserFacts) { f.Client = &ClientCertificate{Usable: true, Refusal: "denied"} }, "CredentialsReady", yes, no, yes},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			facts := &UserFacts{
				User: &v1alpha1.RelayUser{
					ObjectMeta: metav1.ObjectMeta{Generation: 2},
					Spec: v1alpha1.RelayUserSpec{Authentication: &v1alpha1.UserAuthentication{
						ServiceAccount: &v1alpha1.ServiceAccountAuthentication{Name: "checkout"},
					}},
				},
				Relay: "mail/relay", RelayExists: true, CAKnown: true, SecretWritten: true, Loaded: true,
			}
			tc.change(facts)
			conditions := RelayUser(facts)
			checkRules(t, conditions, 2)
			for name, want := range map[string]metav1.ConditionStatus{
				v1alpha1.ConditionReady: tc.ready, v1alpha1.ConditionReconciling: tc.working, v1alpha1.ConditionStalled: tc.forAPerson,
			} {
				c := meta.FindStatusCondition(conditions, name)
				if c.Status != want || name == v1alpha1.ConditionReady && c.Reason != tc.reason {
					t.Errorf("%s is %s %s, want %s", name, c.Status, c.Reason, want)
				}
			}
		})
	}
}

// A provider's reply can name the account of the relay's owner.
func TestUserOfAnotherNamespaceSeesOnlyTheCodesOfARefusal(t *testing.T) {
	t.Parallel()
	for reply, want := range map[string]string{
		"554 5.7.1 Account 12345 may not send": "(554 5.7.1)",
		"550 Account 12345 may not send":       "(550)",
		"Account 12345 may not send":           "(without a code)",
	} {
		facts := &UserFacts{User: &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Generation: 2}}, Relay: "mail/relay"}
		report := refusedSender
		report.Reply = reply
		facts.SendersRefused = []config.SenderReport{report}
		c := meta.FindStatusCondition(RelayUser(facts), v1alpha1.ConditionSendersAccepted)
		if strings.Contains(c.Message, "12345") || !strings.Contains(c.Message, want) || !strings.Contains(c.Message, "the owner of MailRelay mail/relay sees") {
			t.Errorf("%q is told as %q", reply, c.Message)
		}
		if facts.SendersRefused[0].Reply != reply {
			t.Error("the report was changed")
		}
	}
}

func TestRefusedSenderIsToldItsUserWhoCanStillLogIn(t *testing.T) {
	t.Parallel()
	facts := &UserFacts{
		User:  &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Generation: 2}},
		Relay: "mail/relay", RelayExists: true, CAKnown: true, SecretWritten: true, Loaded: true,
	}
	if c := meta.FindStatusCondition(RelayUser(facts), v1alpha1.ConditionSendersAccepted); c.Status != yes {
		t.Errorf("it is %s %s", c.Status, c.Reason)
	}
	facts.SendersRefused = []config.SenderReport{refusedSender}
	conditions := RelayUser(facts)
	checkRules(t, conditions, 2)
	c := meta.FindStatusCondition(conditions, v1alpha1.ConditionSendersAccepted)
	if want := "upstream provider does not take mail from app@example.com since 2030-01-02T03:04:05Z (554 not verified). Send as another one"; c.Status != no || c.Reason != "SenderRefused" || !strings.Contains(c.Message, want) {
		t.Errorf("it is %s %s: %s", c.Status, c.Reason, c.Message)
	}
	if ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); ready.Status != yes {
		t.Errorf("Ready is %s %s", ready.Status, ready.Reason)
	}
}

func TestFailedLeavesWhatWasKnown(t *testing.T) {
	t.Parallel()
	failure := errors.New("the quota is used up")
	first := Failed(nil, 2, failure)
	if c := meta.FindStatusCondition(first, v1alpha1.ConditionReady); c == nil || c.Status != unknown || !strings.Contains(c.Message, "quota") {
		t.Errorf("a first pass that fails leaves Ready %+v", c)
	}
	before := []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: yes, Reason: "Serving"}}
	later := Failed(before, 2, failure)
	if c := meta.FindStatusCondition(later, v1alpha1.ConditionReady); c != nil {
		t.Errorf("a later pass that fails changes Ready to %+v", c)
	}
	if c := meta.FindStatusCondition(later, v1alpha1.ConditionReconciling); c == nil || c.Status != yes || c.Reason != "Retrying" {
		t.Errorf("Reconciling is %+v", c)
	}
}
