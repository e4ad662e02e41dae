package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

func mustSay(t *testing.T, message string, all ...string) {
	t.Helper()
	for _, want := range all {
		if !strings.Contains(message, want) {
			t.Errorf("the condition lacks %q: %s", want, message)
		}
	}
}

func TestUserWhoAsksForMoreThanIsGrantedIsRefused(t *testing.T) {
	c, namespace := onCluster(t)
	elsewhere := c.namespace(t, nil)
	relay, _ := c.readyRelay(t, namespace, func(relay *v1alpha1.MailRelay) {
		relay.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{}, {
			Namespaces: &v1alpha1.NamespaceRule{Names: []string{elsewhere}}, Senders: []string{"a.example"},
			Authentication: []v1alpha1.AuthenticationKind{v1alpha1.KindPassword},
			SendingLimits:  v1alpha1.SendingLimits{MaxRecipients: ptr(int32(5))},
		}}}
	})
	name := "MailRelay " + relayKey(namespace, relay.Name)

	other := newUser(elsewhere, "other-sender", relay)
	other.Spec.AllowedSenders = []string{"b.example"}
	c.mustCreate(t, other)
	mustSay(t, c.awaitCondition(t, other, v1alpha1.ConditionReady, metav1.ConditionFalse, "NoSender"),
		"spec.allowedSenders asks for b.example", "grant only a.example")

	user := newUser(elsewhere, "app", relay)
	user.Spec.Authentication = &v1alpha1.UserAuthentication{ClientCertificate: &v1alpha1.ClientCertificateAuthentication{}}
	c.mustCreate(t, user)
	mustSay(t, c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionFalse, "AuthenticationNotGranted"),
		"spec.authentication.clientCertificate is not granted by the access rules of "+name, "grant Password: set spec.authentication.password")
	c.awaitCondition(t, user, v1alpha1.ConditionStalled, metav1.ConditionTrue, "AuthenticationNotGranted")
	if s := user.Status; len(s.Senders)+len(s.Authentication) > 0 || s.Limits != nil || s.Binding != nil {
		t.Errorf("a refused user is granted %+v", s)
	}

	c.change(t, user, func() {
		user.Spec.Authentication = &v1alpha1.UserAuthentication{Password: &v1alpha1.PasswordAuthentication{}}
	})
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	s := user.Status
	if !slices.Equal(s.Senders, []string{"a.example"}) || fmt.Sprint(s.Authentication) != "[Password]" ||
		s.Limits == nil || s.Limits.MaxRecipients != 5 || s.Limits.MaxSize.String() != "25Mi" {
		t.Errorf("granted %v by %v with %+v", s.Senders, s.Authentication, s.Limits)
	}

	c.change(t, relay, func() { relay.Spec.Access.Rules[1].RequireAll = true })
	mustSay(t, c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionFalse, "TwoFactorsRequired"),
		"spec.authentication.require: All", name)
	c.awaitUnknown(t, relay, "app."+elsewhere)
}
