package access

import (
	"slices"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

const (
	password       = v1alpha1.KindPassword
	serviceAccount = v1alpha1.KindServiceAccount
	certificate    = v1alpha1.KindClientCertificate
)

// shopRule lets namespace shop in with one sender and these kinds.
func shopRule(sender string, kinds ...v1alpha1.AuthenticationKind) v1alpha1.AccessRule {
	return v1alpha1.AccessRule{Namespaces: names("shop"), Senders: []string{sender}, Authentication: kinds}
}

func twoFactors(rule v1alpha1.AccessRule) v1alpha1.AccessRule {
	rule.RequireAll = true
	return rule
}

// asking is the authentication of a user who asks for these kinds.
func asking(kinds ...v1alpha1.AuthenticationKind) *v1alpha1.UserAuthentication {
	a := &v1alpha1.UserAuthentication{Require: v1alpha1.RequireAny}
	for _, kind := range kinds {
		switch kind {
		case password:
			a.Password = &v1alpha1.PasswordAuthentication{}
		case serviceAccount:
			a.ServiceAccount = &v1alpha1.ServiceAccountAuthentication{Name: "shop"}
		case certificate:
			a.ClientCertificate = &v1alpha1.ClientCertificateAuthentication{}
		}
	}
	return a
}

func all(a *v1alpha1.UserAuthentication) *v1alpha1.UserAuthentication {
	a.Require = v1alpha1.RequireAll
	return a
}

func TestKindsOfAuthenticationAreGrantedWithTheSenders(t *testing.T) {
	t.Parallel()
	const refused, factors = "AuthenticationNotGranted", "TwoFactorsRequired"
	for name, tc := range map[string]struct {
		rules   []v1alpha1.AccessRule
		asks    *v1alpha1.UserAuthentication
		wanted  []string
		senders []string
		reason  string
		// says is in the message.
		says []string
	}{
		"a rule that names no kinds grants all": {
			rules: []v1alpha1.AccessRule{shopRule("a.example")},
			asks:  asking(password, serviceAccount, certificate), senders: []string{"a.example"}},
		"the kind that is granted": {
			rules: []v1alpha1.AccessRule{shopRule("a.example", serviceAccount)},
			asks:  asking(serviceAccount), senders: []string{"a.example"}},
		"a password by default, which is not granted": {
			rules: []v1alpha1.AccessRule{shopRule("a.example", serviceAccount)}, reason: refused,
			says: []string{"spec.authentication.password is not granted by the access rules of MailRelay mail/relay",
				"without spec.authentication it is asked for", "grant ServiceAccount: set spec.authentication.serviceAccount instead"}},
		"one kind more than is granted": {
			rules: []v1alpha1.AccessRule{shopRule("a.example", password, certificate)},
			asks:  asking(password, serviceAccount), reason: refused,
			says: []string{"spec.authentication.serviceAccount is not granted", "grant Password, ClientCertificate: set spec.authentication.password, spec.authentication.clientCertificate instead"}},
		"senders of one rule are not for the kind of another": {
			rules: []v1alpha1.AccessRule{shopRule("a.example", serviceAccount), shopRule("b.example", password)},
			asks:  asking(password), senders: []string{"b.example"}},
		"nor for one who asks for them": {
			rules: []v1alpha1.AccessRule{shopRule("a.example", serviceAccount), shopRule("b.example", password)},
			asks:  asking(password), wanted: []string{"a.example"}, reason: "NoSender",
			says: []string{"grant only b.example", "other rules are about this namespace and another spec.authentication"}},
		"nor for one who asks for both kinds": {
			rules: []v1alpha1.AccessRule{shopRule("a.example", serviceAccount), shopRule("b.example", password)},
			asks:  asking(password, serviceAccount), reason: refused,
			says: []string{"no single access rule of MailRelay mail/relay grants Password, ServiceAccount together", "make another RelayUser"}},
		"rules that grant the kind add up": {
			rules: []v1alpha1.AccessRule{shopRule("a.example"), shopRule("b.example", password), shopRule("c.example", certificate)},
			asks:  asking(password), senders: []string{"a.example", "b.example"}},
		"one factor where two are required": {
			rules: []v1alpha1.AccessRule{twoFactors(shopRule("a.example"))},
			asks:  asking(password, certificate), reason: factors,
			says: []string{"spec.authentication.require: All", "MailRelay mail/relay"}},
		"two factors where two are required": {
			rules: []v1alpha1.AccessRule{twoFactors(shopRule("a.example"))},
			asks:  all(asking(password, certificate)), senders: []string{"a.example"}},
		"two factors where one is enough": {
			rules: []v1alpha1.AccessRule{shopRule("a.example")},
			asks:  all(asking(serviceAccount, certificate)), senders: []string{"a.example"}},
		"senders of the strict rule are not for one factor": {
			rules: []v1alpha1.AccessRule{twoFactors(shopRule("a.example")), shopRule("b.example")},
			asks:  asking(password, certificate), senders: []string{"b.example"}},
		"each factor must be granted": {
			rules: []v1alpha1.AccessRule{twoFactors(shopRule("a.example", serviceAccount, certificate))},
			asks:  all(asking(password, certificate)), reason: refused, says: []string{"spec.authentication.password is not granted"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			user := &v1alpha1.RelayUser{}
			user.Namespace, user.Name = "shop", "app"
			user.Spec.Authentication, user.Spec.AllowedSenders = tc.asks, tc.wanted
			got := Decide(relayWith(nil, tc.rules...), user, nil)
			if got.Reason != tc.reason || !slices.Equal(got.Senders, tc.senders) || got.Granted() != (len(got.Authentication) > 0) {
				t.Fatalf("Decide = %v by %v, %q (%s), want %v %q", got.Senders, got.Authentication, got.Reason, got.Message, tc.senders, tc.reason)
			}
			for _, want := range tc.says {
				if !strings.Contains(got.Message, want) {
					t.Errorf("message lacks %q: %s", want, got.Message)
				}
			}
		})
	}
}

// A user may ask for another kind and lose senders, but not for one more and lose limits.
func TestLimitsAreThoseOfAllRulesAboutAKindThatIsUsed(t *testing.T) {
	t.Parallel()
	five := int32(5)
	limited := func(rule v1alpha1.AccessRule) v1alpha1.AccessRule {
		rule.MaxRecipients = &five
		return rule
	}
	open := shopRule("b.example")
	for name, tc := range map[string]struct {
		rule v1alpha1.AccessRule
		asks *v1alpha1.UserAuthentication
		want int32
	}{
		"the kind of the rule":          {shopRule("a.example", password), asking(password), 5},
		"another kind":                  {shopRule("a.example", password), asking(serviceAccount), 0},
		"one kind more":                 {shopRule("a.example", password), asking(password, certificate), 5},
		"two factors are one kind more": {shopRule("a.example", password), all(asking(password, certificate)), 5},
		"one factor less":               {twoFactors(shopRule("a.example")), asking(password, certificate), 5},
	} {
		user := &v1alpha1.RelayUser{}
		user.Namespace, user.Spec.Authentication = "shop", tc.asks
		decision := Decide(relayWith(nil, limited(tc.rule), open), user, nil)
		var got int32
		for _, limits := range decision.Limits {
			if limits.MaxRecipients != nil {
				got = *limits.MaxRecipients
			}
		}
		if got != tc.want || !decision.Granted() {
			t.Errorf("%s: at most %d recipients, want %d; %s", name, got, tc.want, decision.Message)
		}
	}
}
