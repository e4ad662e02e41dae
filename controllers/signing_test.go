package controllers

import (
	"testing"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmetav1 "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
)

// Each ten minutes another request is made, and refused again.
func TestRefusalIsToldOnce(t *testing.T) {
	t.Parallel()
	relay := newRelay("mail")
	user := newCertificateUser("shop", "app", relay)
	recorder := events.NewFakeRecorder(10)
	r := &MailRelayReconciler{Events: recorder, Keys: &keyring{}}
	s := newScope(relay, (&memories{}).of(keyOf(relay), "1"), noon)
	for _, why := range []string{"no policy", "no policy", "another policy"} {
		if _, err := r.Keys.begin(relay, user, "relay-ca-1", noon, why); err != nil {
			t.Fatal(err)
		}
		pending := &cmv1.CertificateRequest{}
		r.tellOfRefusal(s, pending, keyOf(user))
		denied := pending.DeepCopy()
		denied.Status.Conditions = []cmv1.CertificateRequestCondition{
			{Type: cmv1.CertificateRequestConditionDenied, Status: cmmetav1.ConditionTrue, Message: why},
		}
		r.tellOfRefusal(s, denied, keyOf(user))
	}
	if told := len(recorder.Events); told != 2 {
		t.Errorf("it is told %d times", told)
	}
	if under, err := r.Keys.make(relay, user, "relay-ca-1", noon); err != nil || under.refusal != "another policy" {
		t.Errorf("the next key is %+v, %v", under, err)
	}
}
