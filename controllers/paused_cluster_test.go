package controllers

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/apply"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// rewrite puts credentials into a user's Secret as the operator would have.
func (c *cluster) rewrite(t *testing.T, relay *v1alpha1.MailRelay, user *v1alpha1.RelayUser, held resources.Credentials) {
	t.Helper()
	secret := secretNamed(user.Namespace, resources.CredentialsName(user))
	c.mustGet(t, secret)
	held.CA = secret.Data["certificates"]
	written := resources.CredentialsSecret(relay, user, held)
	if _, err := (&apply.Applier{Client: c, Live: c}).Apply(t.Context(), user, written); err != nil {
		t.Fatal(err)
	}
}

// certify signs another certificate for the key in a user's Secret, from and until then.
func (c *cluster) certify(t *testing.T, relay *v1alpha1.MailRelay, user *v1alpha1.RelayUser, from, until time.Time) *resources.ClientPair {
	t.Helper()
	ca, err := caOf(t.Context(), c, types.NamespacedName{Namespace: relay.Namespace, Name: "relay-ca-1"})
	if err != nil || ca == nil {
		t.Fatal(ca, err)
	}
	secret := secretNamed(user.Namespace, resources.CredentialsName(user))
	c.mustGet(t, secret)
	pair, err := tls.X509KeyPair(secret.Data["tls.crt"], secret.Data["tls.key"])
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := signClient(ca, pair.Leaf.URIs, pair.Leaf.PublicKey, from, until)
	if err != nil {
		t.Fatal(err)
	}
	return &resources.ClientPair{Certificate: certificate, Key: secret.Data["tls.key"]}
}

func TestPausedRelayTellsWhatItKeepsFromBeingReplaced(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user := newCertificateUser(namespace, "app", relay)
	user.Spec.Authentication.Password = &v1alpha1.PasswordAuthentication{}
	user.Spec.Authentication.Require = v1alpha1.RequireAll
	old := c.readyCertificateUser(t, relay, user)
	c.change(t, relay, func() { relay.Spec.Paused = true })
	c.awaitCondition(t, relay, v1alpha1.ConditionStalled, metav1.ConditionTrue, "Paused")
	c.annotate(t, user, v1alpha1.AnnotationLeaked, "1")
	message := c.awaitCondition(t, user, v1alpha1.ConditionStalled, metav1.ConditionTrue, "RelayPaused")
	for _, want := range []string{"the password, since", "the client certificate, since", "has leaked", "spec.paused"} {
		if !strings.Contains(message, want) {
			t.Errorf("%q does not say %q", message, want)
		}
	}
	if now, err := c.certificate(t, user); err != nil || now.key != old.key {
		t.Errorf("the key is %s, %v", now.key, err)
	}
	c.change(t, relay, func() { relay.Spec.Paused = false })
	fresh := c.awaitNewKey(t, user, old)
	c.awaitNames(t, relay, user, fresh.name)
}

// Nothing but the time wakes the user.
func TestWhatBecomesDueDuringThePauseIsTold(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user, password := c.readyUser(t, relay, func(user *v1alpha1.RelayUser) {
		user.Spec.Rotation = &v1alpha1.Rotation{Interval: &metav1.Duration{Duration: time.Hour}, Overlap: &metav1.Duration{Duration: time.Hour - time.Second}}
	})
	certified := newCertificateUser(namespace, "certified", relay)
	c.readyCertificateUser(t, relay, certified)
	kept := c.keyRecord(t, certified).String()
	c.settle(t, namespace)
	c.change(t, relay, func() { relay.Spec.Paused = true })
	c.awaitCondition(t, relay, v1alpha1.ConditionStalled, metav1.ConditionTrue, "Paused")
	// Nearly an hour goes by, or three months.
	soon := time.Now().Add(5 * time.Second).UTC().Truncate(time.Second)
	c.rewrite(t, relay, user, resources.Credentials{
		Password: []byte(password), Annotations: heldPassword{record{issued: soon.Add(-time.Hour), previousUntil: soon.Add(-time.Hour)}, []byte(password)}.annotations(),
	})
	pair := c.certify(t, relay, certified, soon.AddDate(0, 0, -90), soon)
	c.rewrite(t, relay, certified, resources.Credentials{Client: pair, Annotations: map[string]string{resources.KeyAnnotation: kept}})
	message := c.awaitCondition(t, certified, v1alpha1.ConditionStalled, metav1.ConditionTrue, "RelayPaused")
	if !strings.Contains(message, "its certificate ends at") {
		t.Errorf("message = %q", message)
	}
	if ready := readyOf(certified); ready.Status != metav1.ConditionTrue {
		t.Errorf("%+v while the certificate works", ready)
	}
	c.awaitCondition(t, user, v1alpha1.ConditionStalled, metav1.ConditionTrue, "RelayPaused")
	if now := time.Now(); now.Before(soon.Add(-time.Second)) {
		t.Errorf("it is told %s before", soon.Sub(now))
	}
	c.awaitCondition(t, certified, v1alpha1.ConditionReady, metav1.ConditionFalse, "RelayPaused")
	if now := time.Now(); now.Before(soon) {
		t.Errorf("the certificate ends %s before", soon.Sub(now))
	}
}
