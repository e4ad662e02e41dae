package access

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// allKinds is what a rule grants that names none.
var allKinds = []v1alpha1.AuthenticationKind{v1alpha1.KindPassword, v1alpha1.KindServiceAccount, v1alpha1.KindClientCertificate}

// fields of a RelayUser that ask for a kind.
var fields = map[v1alpha1.AuthenticationKind]string{
	v1alpha1.KindPassword:          "spec.authentication.password",
	v1alpha1.KindServiceAccount:    "spec.authentication.serviceAccount",
	v1alpha1.KindClientCertificate: "spec.authentication.clientCertificate",
}

func kindsOf(rule *v1alpha1.AccessRule) []v1alpha1.AuthenticationKind {
	if len(rule.Authentication) == 0 {
		return allKinds
	}
	return rule.Authentication
}

// rulesFor are the rules that grant each kind that the user asks for, and want no more factors
// than it shows.
func rulesFor(rules []v1alpha1.AccessRule, user *v1alpha1.RelayUser) []v1alpha1.AccessRule {
	var granting []v1alpha1.AccessRule
	for i := range rules {
		if grantsKinds(&rules[i], resources.Kinds(user)) && (!rules[i].RequireAll || showsAll(user)) {
			granting = append(granting, rules[i])
		}
	}
	return granting
}

func grantsKinds(rule *v1alpha1.AccessRule, asked []v1alpha1.AuthenticationKind) bool {
	return !slices.ContainsFunc(asked, func(kind v1alpha1.AuthenticationKind) bool {
		return !slices.Contains(kindsOf(rule), kind)
	})
}

func showsAll(user *v1alpha1.RelayUser) bool {
	return user.Spec.Authentication != nil && user.Spec.Authentication.Require == v1alpha1.RequireAll
}

// notGranted tells what to change in the authentication of a user whose namespace is let in.
func notGranted(relay *v1alpha1.MailRelay, rules []v1alpha1.AccessRule, user *v1alpha1.RelayUser) Decision {
	name := relay.Namespace + "/" + relay.Name
	asked, granted := resources.Kinds(user), union(rules)
	for _, kind := range asked {
		if !slices.Contains(granted, kind) {
			return Decision{Reason: "AuthenticationNotGranted", Message: fmt.Sprintf(
				"%s is not granted by the access rules of MailRelay %s%s: they grant %s: set %s instead, or ask for a rule whose authentication has %s",
				fields[kind], name, byDefault(user), join(granted, plain), join(granted, field), kind)}
		}
	}
	if !slices.ContainsFunc(rules, func(rule v1alpha1.AccessRule) bool { return grantsKinds(&rule, asked) }) {
		return Decision{Reason: "AuthenticationNotGranted", Message: fmt.Sprintf(
			"no single access rule of MailRelay %s grants %s together: keep one of %s, and make another RelayUser for the other",
			name, join(asked, plain), join(asked, field))}
	}
	return Decision{Reason: "TwoFactorsRequired", Message: fmt.Sprintf(
		"the access rules of MailRelay %s let in only RelayUsers with two factors: set spec.authentication.require: All with clientCertificate, and password or serviceAccount", name)}
}

// byDefault says why a user asks for a kind that its spec does not name.
func byDefault(user *v1alpha1.RelayUser) string {
	if user.Spec.Authentication == nil {
		return ", and without spec.authentication it is asked for"
	}
	return ""
}

// union is what any of the rules grants, in the order in which status shows kinds.
func union(rules []v1alpha1.AccessRule) []v1alpha1.AuthenticationKind {
	return slices.DeleteFunc(slices.Clone(allKinds), func(kind v1alpha1.AuthenticationKind) bool {
		return !slices.ContainsFunc(rules, func(rule v1alpha1.AccessRule) bool { return slices.Contains(kindsOf(&rule), kind) })
	})
}

func plain(kind v1alpha1.AuthenticationKind) string { return string(kind) }
func field(kind v1alpha1.AuthenticationKind) string { return fields[kind] }

func join(kinds []v1alpha1.AuthenticationKind, write func(v1alpha1.AuthenticationKind) string) string {
	words := make([]string, len(kinds))
	for i, kind := range kinds {
		words[i] = write(kind)
	}
	return strings.Join(words, ", ")
}
