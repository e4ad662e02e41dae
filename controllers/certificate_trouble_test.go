package controllers

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestLeakedKeyEndsAtOnce(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user := newCertificateUser(namespace, "app", relay)
	old := c.readyCertificateUser(t, relay, user)
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	// Even when no other can be made now.
	c.change(t, space, func() { space.Labels[deniedLabel] = "yes" })
	c.change(t, user, func() { user.Annotations = map[string]string{v1alpha1.AnnotationLeaked: "1"} })
	c.awaitUnknown(t, relay, "app."+namespace)
	message := c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionFalse, "CertificateRefused")
	if !strings.Contains(message, "no policy allows it") || !strings.Contains(message, namespace+"/relay-client-") {
		t.Errorf("message = %q", message)
	}
	c.awaitCondition(t, user, v1alpha1.ConditionStalled, metav1.ConditionTrue, "CertificateRefused")

	c.change(t, space, func() { delete(space.Labels, deniedLabel) })
	left := c.requests(t, namespace)
	if len(left) != 1 {
		t.Fatalf("there are %d requests, want the one that was denied", len(left))
	}
	if err := c.Delete(t.Context(), &left[0]); err != nil {
		t.Fatal(err)
	}
	fresh := c.awaitNewKey(t, user, old)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	c.awaitNames(t, relay, user, fresh.name)
	if e := c.awaitEvent(t, namespace, "Rotated"); !strings.Contains(e.Note, "has leaked; the one before has ended") {
		t.Errorf("event: %s", e.Note)
	}
}

// What an app's team writes into its Secret gives it no other identity, and is put right. Apps
// that have the old pair in memory have time to read the new one.
func TestCertificateInASecretThatWasChangedIsMadeAnew(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user, other := newCertificateUser(namespace, "app", relay), newCertificateUser(namespace, "other", relay)
	old := c.readyCertificateUser(t, relay, user)
	foreign := c.readyCertificateUser(t, relay, other)
	theirs := secretNamed(namespace, "other")
	c.mustGet(t, theirs)
	c.editSecret(t, namespace, func(secret *corev1.Secret) {
		secret.Data["tls.crt"], secret.Data["tls.key"] = theirs.Data["tls.crt"], theirs.Data["tls.key"]
		secret.Annotations[resources.KeyAnnotation] = theirs.Annotations[resources.KeyAnnotation]
	})
	fresh := c.awaitNewKey(t, user, old)
	c.awaitNames(t, relay, user, fresh.name, old.name)
	if end, issued := c.endOf(t, relay, user, old), c.keyRecord(t, user).Issued; !end.Equal(issued.Add(defaultOverlap)) {
		t.Errorf("the old one, replaced at %s, ends at %s", issued, end)
	}
	c.awaitNames(t, relay, other, foreign.name)
	if e := c.awaitEvent(t, namespace, "CredentialsRestored"); !strings.Contains(e.Note, "kubectl-edit") || !strings.Contains(e.Note, "tls.crt, tls.key; there is a new client certificate in it, and the one before works until") {
		t.Errorf("event: %s", e.Note)
	}
}

func TestAppsWithACertificateGoOnWhenTheirSecretIsDeleted(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user := newCertificateUser(namespace, "app", relay)
	old := c.readyCertificateUser(t, relay, user)
	// Even while no other can be made.
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	c.change(t, space, func() { space.Labels[heldLabel] = "yes" })
	if err := c.Delete(t.Context(), secretNamed(namespace, "app")); err != nil {
		t.Fatal(err)
	}
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionFalse, "SigningCertificate")
	if known := c.known(t, relay, "app."+namespace); known == nil || known.Certificates[0] != old.name {
		t.Fatalf("the relay knows %+v", known)
	}
	c.change(t, space, func() { delete(space.Labels, heldLabel) })
	fresh := c.awaitNewKey(t, user, old)
	c.awaitNames(t, relay, user, fresh.name, old.name)
}

// The relay's loop ends a key that leaked, whatever keeps the user's own from replacing it.
func TestLeakedKeyEndsWhateverBecomesOfItsSecret(t *testing.T) {
	for name, trouble := range map[string]func(*testing.T, *cluster, *v1alpha1.MailRelay, *v1alpha1.RelayUser){
		"the Secret was deleted": func(t *testing.T, c *cluster, _ *v1alpha1.MailRelay, user *v1alpha1.RelayUser) {
			if err := c.Delete(t.Context(), secretNamed(user.Namespace, "app")); err != nil {
				t.Fatal(err)
			}
			c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionFalse, "CertificateRefused")
		},
		"a foreign Secret has the name": func(t *testing.T, c *cluster, _ *v1alpha1.MailRelay, user *v1alpha1.RelayUser) {
			eventually(t, "the name is taken", func() error {
				if err := c.Delete(t.Context(), secretNamed(user.Namespace, "app")); err != nil {
					return err
				}
				return c.Create(t.Context(), secretNamed(user.Namespace, "app"))
			})
		},
		"the relay drains": func(t *testing.T, c *cluster, relay *v1alpha1.MailRelay, user *v1alpha1.RelayUser) {
			if err := c.Delete(t.Context(), relay); err != nil {
				t.Fatal(err)
			}
			c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionFalse, "RelayMissing")
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, namespace := onCluster(t)
			relay, pods := c.readyRelay(t, namespace, nil)
			c.fleet.change(keyOf(pods[0]), func(r *config.Report) { r.Queue.Messages = 1 })
			user := newCertificateUser(namespace, "app", relay)
			old := c.readyCertificateUser(t, relay, user)
			space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
			c.change(t, space, func() { space.Labels[deniedLabel] = "yes" })
			trouble(t, c, relay, user)
			if known := c.known(t, relay, "app."+namespace); known == nil || !slices.Contains(known.Certificates, old.name) {
				t.Fatalf("the trouble alone ends the key: %+v", known)
			}
			c.annotate(t, user, v1alpha1.AnnotationLeaked, "1")
			c.awaitUnknown(t, relay, "app."+namespace)
		})
	}
}
