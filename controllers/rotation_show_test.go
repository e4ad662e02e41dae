package controllers

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// An operator that has just started knows of no old credentials: that they ended is another thing.
func TestWhatIsNotKnownOfOldCredentialsStaysInStatus(t *testing.T) {
	t.Parallel()
	relay := newRelay("mail")
	user := newUser("shop", "app", relay)
	until := metav1.NewTime(noon.Add(time.Hour))
	user.Status.Rotation = &v1alpha1.RotationStatus{
		Previous:    &v1alpha1.PreviousCredentials{Until: until},
		Certificate: &v1alpha1.CertificateRotation{PreviousUntil: &until},
	}
	r := &RelayUserReconciler{Board: NewBoard(), Now: func() time.Time { return noon }}
	password, key := heldPassword{record{issued: noon}, []byte("x")}, keyOfAge(0, record{})
	show := func() *v1alpha1.RelayUser {
		s := newUserScope(user.DeepCopy(), nil)
		r.showRotation(s, password, key)
		return s.user
	}
	for name, posted := range map[string]*posting{"no relay": nil, "a relay whose users were not looked at": {ca: "CA"}} {
		if posted != nil {
			r.Board.post(t.Context(), keyOf(relay), *posted, nil)
		}
		if now := show(); previousOf(now) == nil || certificateOf(now).PreviousUntil == nil {
			t.Errorf("%s: rotation is %+v", name, now.Status.Rotation)
		}
	}
	r.Board.post(t.Context(), keyOf(relay), posting{previous: map[types.NamespacedName]oldCredentials{}}, nil)
	if now := show(); previousOf(now) != nil || certificateOf(now).PreviousUntil != nil {
		t.Errorf("none is left: rotation is %+v", now.Status.Rotation)
	}
}

func TestPreparationEndsWithWhatItIsFor(t *testing.T) {
	t.Parallel()
	relay := newRelay("mail")
	user := newUser("shop", "app", relay)
	for name, step := range map[string]func(*RelayUserReconciler, *userScope) error{
		"the relay is gone": func(r *RelayUserReconciler, s *userScope) error { return r.applyCredentials(t.Context(), s) },
		"it lets the user in no more": func(r *RelayUserReconciler, s *userScope) error {
			s.relay, s.facts.RefusedReason = relay, "NotLetIn"
			return r.applyCredentials(t.Context(), s)
		},
		"spec asks for no password": func(r *RelayUserReconciler, s *userScope) error {
			s.user.Spec.Authentication = &v1alpha1.UserAuthentication{ServiceAccount: &v1alpha1.ServiceAccountAuthentication{Name: "app"}}
			r.renew(t.Context(), s, heldPassword{})
			return nil
		},
	} {
		r := &RelayUserReconciler{Board: NewBoard(), Keys: &keyring{}, Now: func() time.Time { return noon }}
		r.Board.prepare(t.Context(), keyOf(relay), keyOf(user))
		if err := step(r, newUserScope(user.DeepCopy(), nil)); err != nil {
			t.Fatal(err)
		}
		if r.Board.preparation(keyOf(user)) != nil {
			t.Errorf("%s, and a password is kept for it", name)
		}
		if len(r.Board.Relays) != 2 {
			t.Errorf("%s, and the relay is not told", name)
		}
	}
}
