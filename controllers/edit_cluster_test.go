package controllers

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// editSecret changes a Secret as a person does.
func (c *cluster) editSecret(t *testing.T, namespace string, change func(*corev1.Secret)) {
	t.Helper()
	secret := secretNamed(namespace, "app")
	eventually(t, "edit the Secret", func() error {
		c.mustGet(t, secret)
		change(secret)
		return c.Update(t.Context(), secret, client.FieldOwner("kubectl-edit"))
	})
}

func TestEditedPasswordIsReplacedAndNeverWorks(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user, first := c.readyUser(t, relay, nil)
	const chosen = "chosen by hand and long enough"
	c.editSecret(t, namespace, func(secret *corev1.Secret) { secret.Data["password"] = []byte(chosen) })
	second := c.awaitNewPassword(t, user, chosen)
	for second == first {
		second = c.awaitNewPassword(t, user, first)
	}
	c.awaitAccepted(t, relay, user, second, first)
	e := c.awaitEvent(t, namespace, "CredentialsRestored")
	for _, want := range []string{"Secret app was changed by kubectl-edit", "password", "new password", "works until"} {
		if !strings.Contains(e.Note, want) {
			t.Errorf("event does not say %q: %s", want, e.Note)
		}
	}
	if strings.Contains(e.Note, chosen) || e.Type != corev1.EventTypeWarning || e.Regarding.Kind != "RelayUser" {
		t.Errorf("event: %+v", e)
	}
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
}

func TestEditedKeysArePutRightAndTheRestStays(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user, first := c.readyUser(t, relay, nil)
	c.editSecret(t, namespace, func(secret *corev1.Secret) {
		secret.Data["host"] = []byte("elsewhere.example.com")
		secret.Data["added"] = []byte("by hand")
		delete(secret.Data, "certificates")
		delete(secret.Labels, resources.ManagedByLabel)
	})
	secret := secretNamed(namespace, "app")
	eventually(t, "the Secret is put right", func() error {
		c.mustGet(t, secret)
		if string(secret.Data["host"]) != "relay."+namespace+".svc" || len(secret.Data["certificates"]) == 0 || secret.Labels[resources.ManagedByLabel] == "" {
			return fmt.Errorf("host is %q, labels %v", secret.Data["host"], secret.Labels)
		}
		return nil
	})
	if string(secret.Data["added"]) != "by hand" || string(secret.Data["password"]) != first {
		t.Error("what was not touched, or added, is not as it was")
	}
	note := c.awaitEvent(t, namespace, "CredentialsRestored").Note
	if !strings.Contains(note, "kubectl-edit") || !strings.Contains(note, "certificates, host, label "+resources.ManagedByLabel) || strings.Contains(note, "password") {
		t.Errorf("event: %s", note)
	}
	c.settle(t, namespace)
	if err := c.accepts(t, relay, user, first); err != nil {
		t.Error(err)
	}
}

// What the operator itself writes otherwise, as after a change of spec, is no edit.
func TestChangeOfTheRelayIsNoEdit(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user, first := c.readyUser(t, relay, nil)
	off := false
	for _, enabled := range []*bool{&off, nil} {
		c.change(t, relay, func() { relay.Spec.Listeners.Submission.Enabled = enabled })
		eventually(t, "the key submission-port", func() error {
			secret := secretNamed(namespace, "app")
			c.mustGet(t, secret)
			if _, found := secret.Data["submission-port"]; found != (enabled == nil) {
				return fmt.Errorf("found: %v", found)
			}
			return nil
		})
	}
	if told := c.eventsOf(t, namespace); tells(told, "CredentialsRestored") || c.passwordOf(t, user) != first {
		t.Error("a change of the relay is taken for an edit")
	}
}

// A type cannot be changed, and an immutable Secret not at all: people make them anew.
func TestSecretThatCannotBePutRightIsMadeAnew(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user, first := c.readyUser(t, relay, nil)
	c.editSecret(t, namespace, func(secret *corev1.Secret) { secret.Immutable = ptr(true) })
	awaitType := func(what string) {
		eventually(t, what, func() error {
			secret := secretNamed(namespace, "app")
			if err := c.Get(t.Context(), keyOf(secret), secret); err != nil {
				return err
			}
			if fixed(secret) {
				return fmt.Errorf("type %s, immutable %v", secret.Type, secret.Immutable)
			}
			return nil
		})
	}
	awaitType("an immutable Secret")
	if c.passwordOf(t, user) != first {
		t.Error("the password changed with it")
	}
	c.awaitAccepted(t, relay, user, first)

	secret := secretNamed(namespace, "app")
	c.mustGet(t, secret)
	other := secretNamed(namespace, "app")
	other.Labels, other.OwnerReferences, other.Data, other.Type = secret.Labels, secret.OwnerReferences, secret.Data, corev1.SecretTypeOpaque
	eventually(t, "replace the Secret", func() error {
		if err := client.IgnoreNotFound(c.Delete(t.Context(), secret)); err != nil {
			return err
		}
		other.ResourceVersion, other.UID = "", ""
		return c.Create(t.Context(), other)
	})
	awaitType("a Secret of another type")
	second := c.awaitNewPassword(t, user, first)
	eventually(t, "the new password works, and the old one too", func() error {
		second = c.passwordOf(t, user)
		return c.accepts(t, relay, user, second, first)
	})
}

func TestAppsGoOnWhenTheirSecretIsDeleted(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user, first := c.readyUser(t, relay, nil)
	if err := c.Delete(t.Context(), secretNamed(namespace, "app")); err != nil {
		t.Fatal(err)
	}
	second := c.awaitNewPassword(t, user, first)
	c.awaitAccepted(t, relay, user, second, first)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	c.awaitEvent(t, namespace, "Rotated")
}

func TestPasswordOfARemovedUserDoesNotComeBack(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user, first := c.readyUser(t, relay, nil)
	if err := c.Delete(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	// There is no garbage collector on this cluster.
	if err := c.Delete(t.Context(), secretNamed(namespace, "app")); err != nil {
		t.Fatal(err)
	}
	again := newUser(namespace, "app", relay)
	c.mustCreate(t, again)
	c.awaitCondition(t, again, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	second := c.awaitNewPassword(t, again, first)
	c.awaitAccepted(t, relay, again, second)
}
