package controllers

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// heldUp has no request in a namespace signed until the function that is returned is called.
func (c *cluster) heldUp(t *testing.T, namespace string) (goOn func()) {
	t.Helper()
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	c.change(t, space, func() { space.Labels[heldLabel] = "yes" })
	return func() { c.change(t, space, func() { delete(space.Labels, heldLabel) }) }
}

// Either is enough: whoever can log in with a password need not wait for the certificate.
func TestPasswordDoesNotWaitForTheCertificate(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	present, _ := c.readyUser(t, relay, nil)
	goOn := c.heldUp(t, namespace)
	both := &v1alpha1.UserAuthentication{Password: &v1alpha1.PasswordAuthentication{}, ClientCertificate: &v1alpha1.ClientCertificateAuthentication{}}
	fresh := newUser(namespace, "fresh", relay)
	fresh.Spec.Authentication = both
	c.mustCreate(t, fresh)
	c.change(t, present, func() { present.Spec.Authentication = both })
	for _, user := range []*v1alpha1.RelayUser{fresh, present} {
		c.awaitCondition(t, user, v1alpha1.ConditionReconciling, metav1.ConditionTrue, "SigningCertificate")
		c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
		c.awaitAccepted(t, relay, user, c.passwordOf(t, user))
	}
	goOn()
	for _, user := range []*v1alpha1.RelayUser{fresh, present} {
		eventually(t, "the certificate", func() error {
			c.mustGet(t, user)
			if ready := readyOf(user); ready.Status != metav1.ConditionTrue {
				t.Fatalf("%s lost its readiness: %+v", user.Name, ready)
			}
			_, err := c.certificate(t, user)
			return err
		})
		found, _ := c.certificate(t, user)
		c.awaitNames(t, relay, user, found.name)
		c.awaitCondition(t, user, v1alpha1.ConditionReconciling, metav1.ConditionFalse, "UpToDate")
	}
}

// What goes on while nobody is there to write it goes on after a restart, too.
func TestOperatorThatRestartsCutsOffNobody(t *testing.T) {
	crds, err := certManagerCRDs()
	if err != nil {
		t.Fatal(err)
	}
	c, stopOperator := ownCluster(t, crds)
	namespace := c.namespace(t, nil)
	relay, _ := c.readyRelay(t, namespace, nil)
	edited, removed := newCertificateUser(namespace, "edited", relay), newCertificateUser(namespace, "removed", relay)
	oldEdited, oldRemoved := c.readyCertificateUser(t, relay, edited), c.readyCertificateUser(t, relay, removed)
	tokens, foreign := accountUser(namespace, "tokens", relay), accountUser(namespace, "foreign", relay)
	c.mustCreate(t, tokens, foreign)
	for _, user := range []*v1alpha1.RelayUser{tokens, foreign} {
		c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	}
	c.settle(t, namespace)
	stopOperator()
	time.Sleep(500 * time.Millisecond)
	goOn := c.heldUp(t, namespace)
	for _, name := range []string{"removed", "tokens", "foreign"} {
		if err := c.Delete(t.Context(), secretNamed(namespace, name)); err != nil {
			t.Fatal(err)
		}
	}
	c.mustCreate(t, secretNamed(namespace, "foreign"))
	secret := secretNamed(namespace, "edited")
	c.mustGet(t, secret)
	secret.Data["tls.crt"] = []byte("by hand")
	if err := c.Update(t.Context(), secret, client.FieldOwner("kubectl-edit")); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go issueForever(ctx, c)
	if err := c.startOperator(ctx); err != nil {
		t.Fatal(err)
	}
	known := func() error {
		for user, old := range map[*v1alpha1.RelayUser]shown{edited: oldEdited, removed: oldRemoved} {
			if now := c.known(t, relay, resources.Username(user)); now == nil || !slices.Contains(now.Certificates, old.name) {
				return fmt.Errorf("user %s is known as %+v", user.Name, now)
			}
		}
		for _, user := range []*v1alpha1.RelayUser{tokens, foreign} {
			if now := c.known(t, relay, resources.Username(user)); now == nil || len(now.Subjects) != 1 {
				return fmt.Errorf("user %s is known as %+v", user.Name, now)
			}
		}
		return nil
	}
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err := known(); err != nil {
			t.Fatal(err)
		}
	}
	goOn()
	for user, old := range map[*v1alpha1.RelayUser]shown{edited: oldEdited, removed: oldRemoved} {
		fresh := c.awaitNewKey(t, user, old)
		c.awaitNames(t, relay, user, fresh.name, old.name)
	}
}
