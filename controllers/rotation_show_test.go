package controllers

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
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

// What is under way is neither asked for at each moment where nothing can sign it, nor does it
// end what status says of the one before.
func TestCertificateUnderWay(t *testing.T) {
	t.Parallel()
	user := newCertificateUser("shop", "app", newRelay("mail"))
	until := metav1.NewTime(noon.Add(time.Hour))
	user.Status.Rotation = &v1alpha1.RotationStatus{Certificate: &v1alpha1.CertificateRotation{Issued: metav1.NewTime(noon), PreviousUntil: &until}}
	r := &RelayUserReconciler{Board: NewBoard(), CertManager: &CertManager{}, Now: func() time.Time { return noon }}
	s := newUserScope(user.DeepCopy(), nil)
	s.facts.Client = &readiness.ClientCertificate{}
	r.CertManager.state.Store(stateMissing)
	if r.canRequest(s) || !s.facts.Client.CertManagerMissing || s.requeueAfter < nameTakenInterval/2 {
		t.Errorf("without cert-manager it looks again after %s", s.requeueAfter)
	}
	r.CertManager.state.Store(stateStarting)
	if r.canRequest(s) || s.requeueAfter != establishing {
		t.Errorf("while cert-manager starts it looks again after %s", s.requeueAfter)
	}
	r.showRotation(s, heldPassword{}, heldKey{})
	if now := certificateOf(s.user); now == nil || now.PreviousUntil == nil {
		t.Errorf("rotation is %+v", s.user.Status.Rotation)
	}
	r.Board.post(t.Context(), relayRef(user), posting{previous: map[types.NamespacedName]oldCredentials{}}, nil)
	r.showRotation(s, heldPassword{}, heldKey{})
	if now := certificateOf(s.user); now == nil || now.PreviousUntil != nil {
		t.Errorf("the old one has ended: rotation is %+v", s.user.Status.Rotation)
	}
}

// A pass that wrote credentials may not have got to say so in status.
func TestCredentialsThatStatusDoesNotTellOfAreNews(t *testing.T) {
	t.Parallel()
	relay := newRelay("mail")
	user := newCertificateUser("shop", "app", relay)
	user.Status.Rotation = &v1alpha1.RotationStatus{
		Issued: &metav1.Time{Time: noon}, Certificate: &v1alpha1.CertificateRotation{Issued: metav1.NewTime(noon)},
	}
	r := &RelayUserReconciler{Board: NewBoard()}
	known, fresh := record{issued: noon}, record{issued: noon.Add(time.Hour)}
	pair := &clientPair{name: "key"}
	next := r.Board.prepare(t.Context(), keyOf(relay), keyOf(user))
	for _, tc := range []struct {
		name     string
		password heldPassword
		key      heldKey
		want     bool
	}{
		{"what status tells of", heldPassword{known, []byte("x")}, heldKey{record: known, pair: pair}, false},
		{"another password", heldPassword{fresh, []byte("x")}, heldKey{}, true},
		{"another password that the pods know", heldPassword{fresh, []byte(next.password)}, heldKey{}, false},
		{"another key", heldPassword{}, heldKey{record: fresh, pair: pair}, true},
		{"no key", heldPassword{}, heldKey{record: fresh}, false},
	} {
		s, live := newUserScope(user, nil), secretNamed("shop", "app")
		s.secret = live
		if got := r.isNews(s, live, tc.password, tc.key); got != tc.want {
			t.Errorf("%s: %t", tc.name, got)
		}
		s.secret = live.DeepCopy()
		if s.secret.ResourceVersion = "2"; r.isNews(s, live, tc.password, tc.key) {
			t.Errorf("%s, written in this pass, is news", tc.name)
		}
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
