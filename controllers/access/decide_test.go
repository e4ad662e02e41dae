package access

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

func relayWith(domains []string, rules ...v1alpha1.AccessRule) *v1alpha1.MailRelay {
	relay := &v1alpha1.MailRelay{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "relay"}}
	relay.Spec.Message.SenderDomains = domains
	if rules != nil {
		relay.Spec.Access = &v1alpha1.Access{Rules: rules}
	}
	return relay
}

func names(namespaces ...string) *v1alpha1.NamespaceRule {
	return &v1alpha1.NamespaceRule{Names: namespaces}
}

func selector(labels map[string]string) *v1alpha1.NamespaceRule {
	return &v1alpha1.NamespaceRule{Selector: &v1alpha1.LabelSelector{MatchLabels: labels}}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	domain := []string{"Example.com"}
	for _, tc := range []struct {
		name      string
		relay     *v1alpha1.MailRelay
		namespace string
		labels    map[string]string
		wanted    []string
		senders   []string
		reason    string
	}{
		{name: "without access the own namespace gets the sender domains",
			relay: relayWith(domain), namespace: "mail", senders: []string{"example.com"}},
		{name: "without access and sender domains anybody, and it is said",
			relay: relayWith(nil), namespace: "mail", senders: []string{"*"}},
		{name: "without access no other namespace",
			relay: relayWith(domain), namespace: "shop", reason: "NotLetIn"},
		{name: "a rule without namespaces is about the relay's own",
			relay: relayWith(domain, v1alpha1.AccessRule{}), namespace: "mail", senders: []string{"example.com"}},
		{name: "a rule without namespaces lets no other in",
			relay: relayWith(domain, v1alpha1.AccessRule{}), namespace: "shop", reason: "NotLetIn"},
		{name: "rules replace the default for the own namespace",
			relay: relayWith(domain, v1alpha1.AccessRule{Namespaces: names("shop")}), namespace: "mail", reason: "NotLetIn"},
		{name: "a namespace by name",
			relay:     relayWith(nil, v1alpha1.AccessRule{Namespaces: names("shop"), Senders: []string{"shop@example.com"}}),
			namespace: "shop", senders: []string{"shop@example.com"}},
		{name: "a namespace by label",
			relay:     relayWith(domain, v1alpha1.AccessRule{Namespaces: selector(map[string]string{"mail": "yes"})}),
			namespace: "shop", labels: map[string]string{"mail": "yes"}, senders: []string{"example.com"}},
		{name: "a namespace without the label",
			relay:     relayWith(domain, v1alpha1.AccessRule{Namespaces: selector(map[string]string{"mail": "yes"})}),
			namespace: "shop", labels: map[string]string{"mail": "no"}, reason: "NotLetIn"},
		{name: "the empty selector is every namespace",
			relay:     relayWith(domain, v1alpha1.AccessRule{Namespaces: selector(nil)}),
			namespace: "shop", senders: []string{"example.com"}},
		{name: "a selector that cannot be read lets nobody in",
			relay: relayWith(domain, v1alpha1.AccessRule{Namespaces: &v1alpha1.NamespaceRule{Selector: &v1alpha1.LabelSelector{
				MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}}}}),
			namespace: "shop", reason: "NotLetIn"},
		{name: "rules add up",
			relay: relayWith(nil,
				v1alpha1.AccessRule{Namespaces: names("shop"), Senders: []string{"b.example"}},
				v1alpha1.AccessRule{Namespaces: names("shop", "web"), Senders: []string{"a.example", "b.example"}},
				v1alpha1.AccessRule{Namespaces: names("web"), Senders: []string{"c.example"}}),
			namespace: "shop", senders: []string{"a.example", "b.example"}},
		{name: "a user narrows a domain to an address",
			relay: relayWith(domain), namespace: "mail",
			wanted: []string{"app@EXAMPLE.com"}, senders: []string{"app@example.com"}},
		{name: "a user cannot widen an address to its domain",
			relay:     relayWith(nil, v1alpha1.AccessRule{Senders: []string{"app@example.com", "x@other.example"}}),
			namespace: "mail", wanted: []string{"example.com"}, senders: []string{"app@example.com"}},
		{name: "a user narrows anybody",
			relay: relayWith(nil), namespace: "mail", wanted: []string{"example.com"}, senders: []string{"example.com"}},
		{name: "a user's star is what is granted, no more",
			relay: relayWith(domain), namespace: "mail", wanted: []string{"*"}, senders: []string{"example.com"}},
		{name: "what is not granted is left out",
			relay: relayWith(domain), namespace: "mail",
			wanted: []string{"example.com", "example.org"}, senders: []string{"example.com"}},
		{name: "a domain is not its subdomains",
			relay: relayWith(domain), namespace: "mail", wanted: []string{"mail.example.com"}, reason: "NoSender"},
		{name: "a domain is not one that ends alike",
			relay: relayWith(domain), namespace: "mail", wanted: []string{"x@badexample.com"}, reason: "NoSender"},
		{name: "a user narrows a domain's sub-domains to one",
			relay: relayWith([]string{"*.example.com"}), namespace: "mail",
			wanted: []string{"Mail.example.com"}, senders: []string{"mail.example.com"}},
		{name: "a user cannot widen a sub-domain to all",
			relay: relayWith([]string{"mail.example.com", "*.web.example.com", "example.com"}), namespace: "mail",
			wanted: []string{"*.example.com"}, senders: []string{"*.web.example.com", "mail.example.com"}},
		{name: "sub-domains are not the domain",
			relay: relayWith([]string{"*.example.com"}), namespace: "mail", wanted: []string{"example.com"}, reason: "NoSender"},
		{name: "the null sender is for who lists it",
			relay:     relayWith(nil, v1alpha1.AccessRule{Senders: []string{"<>", "example.com"}}),
			namespace: "mail", wanted: []string{"*", "<>"}, senders: []string{"<>", "example.com"}},
		{name: "the null sender is not for who does not list it",
			relay:     relayWith(nil, v1alpha1.AccessRule{Senders: []string{"<>", "example.com"}}),
			namespace: "mail", senders: []string{"example.com"}},
		{name: "the null sender is not for who asks for all",
			relay:     relayWith(nil, v1alpha1.AccessRule{Senders: []string{"<>", "example.com"}}),
			namespace: "mail", wanted: []string{"*"}, senders: []string{"example.com"}},
		{name: "the null sender must be granted",
			relay: relayWith(nil), namespace: "mail", wanted: []string{"<>"}, reason: "NoSender"},
		{name: "a mailbox named star",
			relay: relayWith(nil), namespace: "mail", wanted: []string{"*@example.com"}, reason: "InvalidSender"},
		{name: "a sender that cannot be read",
			relay: relayWith(domain), namespace: "mail", wanted: []string{"a b@example.com"}, reason: "InvalidSender"},
		{name: "a granted sender that cannot be read",
			relay:     relayWith(nil, v1alpha1.AccessRule{Senders: []string{"-example"}}),
			namespace: "mail", reason: "InvalidSender"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: tc.namespace, Name: "app"}}
			user.Spec.AllowedSenders = tc.wanted
			got := Decide(tc.relay, user, tc.labels)
			if got.Reason != tc.reason || !slices.Equal(got.Senders, tc.senders) {
				t.Fatalf("Decide = %v %q (%s), want %v %q", got.Senders, got.Reason, got.Message, tc.senders, tc.reason)
			}
			if got.Granted() == (tc.reason != "") || got.Any() != slices.Contains(tc.senders, "*") {
				t.Errorf("Granted %v, Any %v do not fit %+v", got.Granted(), got.Any(), got)
			}
			if !got.Granted() && !strings.Contains(got.Message, "spec.") && !strings.Contains(got.Message, "rules") {
				t.Errorf("message names no field to change: %s", got.Message)
			}
		})
	}
}
