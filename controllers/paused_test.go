package controllers

import (
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// While a relay is paused nothing puts an edited password right.
func TestPausedRelayDoesNotTakeAnEditedPasswordForCredentials(t *testing.T) {
	t.Parallel()
	password, account := &v1alpha1.PasswordAuthentication{}, &v1alpha1.ServiceAccountAuthentication{Name: "app"}
	for _, tc := range []struct {
		name    string
		asked   *v1alpha1.UserAuthentication
		written bool
	}{
		{"a password alone", nil, false},
		{"a password or a token", &v1alpha1.UserAuthentication{Password: password, ServiceAccount: account}, true},
		{"a token alone", &v1alpha1.UserAuthentication{ServiceAccount: account}, true},
	} {
		user := newUser("shop", "app", newRelay("mail"))
		user.Spec.Authentication = tc.asked
		edited := secretNamed("shop", "app")
		edited.Data = map[string][]byte{"password": []byte("chosen by hand")}
		r := &RelayUserReconciler{Board: NewBoard(), Now: func() time.Time { return noon }}
		s := newUserScope(user, nil)
		if r.leaveCredentials(s, edited); s.facts.SecretWritten != tc.written {
			t.Errorf("%s: written is %t", tc.name, s.facts.SecretWritten)
		}
	}
	both := newUser("shop", "app", newRelay("mail"))
	both.Spec.Authentication = &v1alpha1.UserAuthentication{
		Password: password, ClientCertificate: &v1alpha1.ClientCertificateAuthentication{}, Require: v1alpha1.RequireAll,
	}
	if !needsPassword(both) {
		t.Error("who needs both needs no password")
	}
	if both.Spec.Authentication.ServiceAccount = account; needsPassword(both) {
		t.Error("who has a token besides needs a password")
	}
}
