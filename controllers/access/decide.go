package access

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// Decision is what a RelayUser is granted.
type Decision struct {
	// Senders are the addresses and domains the user may send as, sorted; none when it is
	// refused.
	Senders []string
	// Reason and Message say why it is refused, and which field to change; both empty when
	// it is let in.
	Reason, Message string
	// Authentication are the kinds that the user may log in with; none when it is refused.
	Authentication []v1alpha1.AuthenticationKind
	// Limits are all that hold for the user: those of the rules about a kind that it logs in with,
	// and its own.
	Limits []v1alpha1.SendingLimits

	// foreign is set for a user of another namespace than the relay's.
	foreign bool
}

// Granted reports whether the user is let in.
func (d Decision) Granted() bool { return d.Reason == "" }

// Any reports whether the user may send as anybody.
func (d Decision) Any() bool { return slices.Contains(d.Senders, config.AnySender) }

const reasonNoSender = "NoSender"

const senderForms = "an address such as app@example.com, a domain such as example.com, \"*.example.com\" for its sub-domains, \"*\" or \"<>\""

// Decide applies the relay's access rules to a user whose namespace has these labels. Only the
// rules count that grant each way in which the user logs in: senders of one rule do not come
// together with a way to log in of another. Limits hold already when a rule grants one of the ways:
// who asks for one more must not shed them. The user's own allowedSenders only narrow what the
// rules grant.
func Decide(relay *v1alpha1.MailRelay, user *v1alpha1.RelayUser, namespace map[string]string) Decision {
	about := rulesAbout(relay, user.Namespace, namespace)
	if len(about) == 0 {
		return notLetIn(relay, user.Namespace)
	}
	rules := rulesFor(about, user)
	if len(rules) == 0 {
		return notGranted(relay, about, user)
	}
	granted, limits := sendersOf(relay, rules), limitsOf(about, user)
	for _, sender := range granted {
		if !config.IsSender(sender) {
			return Decision{Reason: "InvalidSender", Message: fmt.Sprintf(
				"the access rules or message.senderDomains of MailRelay %s/%s grant %q, which is no sender: write there %s", relay.Namespace, relay.Name, sender, senderForms)}
		}
	}
	senders, refused := narrow(granted, user.Spec.AllowedSenders)
	if refused != nil {
		if refused.Reason == reasonNoSender && len(rules) < len(about) {
			refused.Message += "; other rules are about this namespace and another spec.authentication"
		}
		return *refused
	}
	limits = append(limits, user.Spec.SendingLimits)
	if entry, bad := badRecipient(limits); bad {
		return Decision{Reason: "InvalidRecipient", Message: fmt.Sprintf(
			"spec.recipients or an access rule of MailRelay %s/%s has %q, which is no recipient: write an address such as bob@example.net, a domain such as example.net or \"*.example.net\" for its sub-domains",
			relay.Namespace, relay.Name, entry)}
	}
	slices.Sort(senders)
	return Decision{
		Senders: slices.Compact(senders), Authentication: resources.Kinds(user), Limits: limits, foreign: user.Namespace != relay.Namespace,
	}
}

// rulesAbout are the rules about a namespace. A relay without access has one for its own.
func rulesAbout(relay *v1alpha1.MailRelay, userNamespace string, namespace map[string]string) []v1alpha1.AccessRule {
	rules := []v1alpha1.AccessRule{{}}
	if relay.Spec.Access != nil {
		rules = relay.Spec.Access.Rules
	}
	var matched []v1alpha1.AccessRule
	for i := range rules {
		if about(&rules[i], relay.Namespace, userNamespace, namespace) {
			matched = append(matched, rules[i])
		}
	}
	return matched
}

func sendersOf(relay *v1alpha1.MailRelay, rules []v1alpha1.AccessRule) []string {
	var senders []string
	for i := range rules {
		if len(rules[i].Senders) > 0 {
			senders = append(senders, lowerDomains(rules[i].Senders)...)
		} else {
			senders = append(senders, defaultSenders(relay)...)
		}
	}
	return senders
}

// limitsOf are the limits of the rules that grant any kind that the user asks for.
func limitsOf(rules []v1alpha1.AccessRule, user *v1alpha1.RelayUser) []v1alpha1.SendingLimits {
	var limits []v1alpha1.SendingLimits
	for i := range rules {
		granted := kindsOf(&rules[i])
		if slices.ContainsFunc(resources.Kinds(user), func(kind v1alpha1.AuthenticationKind) bool { return slices.Contains(granted, kind) }) {
			limits = append(limits, rules[i].SendingLimits)
		}
	}
	return limits
}

func defaultSenders(relay *v1alpha1.MailRelay) []string {
	if len(relay.Spec.Message.SenderDomains) == 0 {
		return []string{config.AnySender}
	}
	return lowerDomains(relay.Spec.Message.SenderDomains)
}

func about(rule *v1alpha1.AccessRule, relayNamespace, userNamespace string, namespace map[string]string) bool {
	if rule.Namespaces == nil {
		return userNamespace == relayNamespace
	}
	if slices.Contains(rule.Namespaces.Names, userNamespace) {
		return true
	}
	if rule.Namespaces.Selector == nil {
		return false
	}
	// A selector that cannot be read chooses nothing: access is never granted by mistake.
	selector, err := metav1.LabelSelectorAsSelector((*metav1.LabelSelector)(rule.Namespaces.Selector))
	return err == nil && selector.Matches(labels.Set(namespace))
}

func notLetIn(relay *v1alpha1.MailRelay, userNamespace string) Decision {
	return Decision{Reason: "NotLetIn", Message: fmt.Sprintf(
		"MailRelay %s/%s lets in no RelayUser of namespace %s: add a rule with namespaces.names: [%s] to its spec.access.rules",
		relay.Namespace, relay.Name, userNamespace, userNamespace)}
}

// narrow keeps of what is granted what the user wants; nothing wanted means all but the null
// sender, which only those have who list it.
func narrow(granted, wanted []string) ([]string, *Decision) {
	if len(wanted) == 0 {
		wanted = []string{config.AnySender}
	}
	var senders []string
	for _, w := range lowerDomains(wanted) {
		if !config.IsSender(w) {
			return nil, &Decision{Reason: "InvalidSender", Message: fmt.Sprintf(
				"spec.allowedSenders has %q, which is no sender: write %s", w, senderForms)}
		}
		senders = append(senders, overlap(granted, w)...)
	}
	if len(senders) == 0 {
		return nil, &Decision{Reason: reasonNoSender, Message: fmt.Sprintf(
			"spec.allowedSenders asks for %s, but the relay's access rules grant only %s: change spec.allowedSenders, or ask for a rule that grants it",
			strings.Join(wanted, ", "), strings.Join(granted, ", "))}
	}
	return senders, nil
}

// overlap is what a wanted sender and the granted ones have in common. Of two that are not
// apart one covers the other.
func overlap(granted []string, wanted string) []string {
	var common []string
	for _, g := range granted {
		switch {
		case config.Covers(g, wanted):
			return []string{wanted}
		case config.Covers(wanted, g):
			common = append(common, g)
		}
	}
	return common
}

// lowerDomains writes domains in lower case, so that each is shown once.
func lowerDomains(senders []string) []string {
	lower := make([]string, len(senders))
	for i, s := range senders {
		at := strings.LastIndexByte(s, '@') + 1
		lower[i] = s[:at] + strings.ToLower(s[at:])
	}
	return lower
}
