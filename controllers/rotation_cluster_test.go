package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/apply"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// readyUser makes a user of a ready relay and returns the password in its Secret.
func (c *cluster) readyUser(t *testing.T, relay *v1alpha1.MailRelay, shape func(*v1alpha1.RelayUser)) (user *v1alpha1.RelayUser, password string) {
	t.Helper()
	user = newUser(relay.Namespace, "app", relay)
	if shape != nil {
		shape(user)
	}
	c.mustCreate(t, user)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	return user, c.passwordOf(t, user)
}

func (c *cluster) passwordOf(t *testing.T, user *v1alpha1.RelayUser) string {
	t.Helper()
	secret := secretNamed(user.Namespace, resources.CredentialsName(user))
	c.mustGet(t, secret)
	return string(secret.Data["password"])
}

func (c *cluster) annotate(t *testing.T, object client.Object, name, value string) {
	t.Helper()
	c.change(t, object, func() {
		annotations := object.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[name] = value
		object.SetAnnotations(annotations)
	})
}

// awaitNewPassword waits until the Secret has another password, and returns it.
func (c *cluster) awaitNewPassword(t *testing.T, user *v1alpha1.RelayUser, old string) string {
	t.Helper()
	var fresh string
	eventually(t, "a new password", func() error {
		secret := secretNamed(user.Namespace, resources.CredentialsName(user))
		if err := c.Get(t.Context(), keyOf(secret), secret); err != nil {
			return err
		}
		if fresh = string(secret.Data["password"]); fresh == "" || fresh == old {
			return fmt.Errorf("the old one is there")
		}
		return nil
	})
	return fresh
}

// accepts reports which of the passwords the relay's shard has verifiers of, and nothing else.
func (c *cluster) accepts(t *testing.T, relay *v1alpha1.MailRelay, user *v1alpha1.RelayUser, passwords ...string) error {
	t.Helper()
	known := c.known(t, relay, resources.Username(user))
	if known == nil {
		return fmt.Errorf("the relay does not know the user")
	}
	for _, password := range passwords {
		if !slices.ContainsFunc(known.Passwords, func(v config.Verifier) bool { ok, _ := v.Check(password); return ok }) {
			return fmt.Errorf("one of the passwords is not among %d verifiers", len(known.Passwords))
		}
	}
	if len(known.Passwords) != len(passwords) {
		return fmt.Errorf("the relay has %d verifiers, want %d", len(known.Passwords), len(passwords))
	}
	return nil
}

func (c *cluster) awaitAccepted(t *testing.T, relay *v1alpha1.MailRelay, user *v1alpha1.RelayUser, passwords ...string) {
	t.Helper()
	eventually(t, "verifiers in the shard", func() error { return c.accepts(t, relay, user, passwords...) })
}

func TestRotationByAnnotation(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user, first := c.readyUser(t, relay, nil)
	ready := *readyOf(user)
	c.annotate(t, user, v1alpha1.AnnotationRotate, "1")
	second := c.awaitNewPassword(t, user, first)
	if err := c.accepts(t, relay, user, first, second); err != nil {
		t.Errorf("when apps can read the new password: %v", err)
	}
	eventually(t, "status", func() error {
		c.mustGet(t, user)
		if r := user.Status.Rotation; r == nil || r.Previous == nil || !r.Previous.Until.Time.Equal(r.Issued.Add(24*time.Hour)) || r.Previous.LastUsed != nil || r.Next != nil {
			return fmt.Errorf("rotation is %+v", r)
		}
		return nil
	})
	if now := *readyOf(user); now != ready {
		t.Errorf("Ready went from %+v to %+v", ready, now)
	}
	if known := c.known(t, relay, resources.Username(user)); !known.PreviousUntil.Equal(user.Status.Rotation.Previous.Until.Time) {
		t.Errorf("the relay ends the old one at %s", known.PreviousUntil)
	}
	if e := c.awaitEvent(t, namespace, "Rotated"); !strings.Contains(e.Note, v1alpha1.AnnotationRotate) || !strings.Contains(e.Note, "works until") {
		t.Errorf("event: %s", e.Note)
	}
	c.settle(t, namespace)
	if c.passwordOf(t, user) != second {
		t.Fatal("one request rotated twice")
	}
	c.annotate(t, user, v1alpha1.AnnotationRotate, "2")
	third := c.awaitNewPassword(t, user, second)
	c.awaitAccepted(t, relay, user, third, second)
	c.settle(t, namespace)
	for _, e := range c.eventsOf(t, namespace) {
		for _, password := range []string{first, second, third} {
			if strings.Contains(e.Note, password) {
				t.Error("an event shows a password")
			}
		}
	}
}

func readyOf(user *v1alpha1.RelayUser) *metav1.Condition {
	for i := range user.Status.Conditions {
		if user.Status.Conditions[i].Type == v1alpha1.ConditionReady {
			return &user.Status.Conditions[i]
		}
	}
	return &metav1.Condition{}
}

// A pod that is ready and has not loaded the next password would refuse the app that reads it.
func TestRotationWaitsForEveryPod(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user, first := c.readyUser(t, relay, nil)
	silent := c.newPod(relay, 1)
	c.mustCreate(t, silent)
	silent.Status = runningStatus("10.98.0.1")
	if err := c.Status().Update(t.Context(), silent); err != nil {
		t.Fatal(err)
	}
	c.annotate(t, user, v1alpha1.AnnotationRotate, "1")
	c.awaitCondition(t, user, v1alpha1.ConditionReconciling, metav1.ConditionTrue, "Rotating")
	eventually(t, "two verifiers", func() error {
		if known := c.known(t, relay, resources.Username(user)); len(known.Passwords) != 2 || !known.PreviousUntil.IsZero() {
			return fmt.Errorf("%+v", known)
		}
		return nil
	})
	c.settle(t, namespace)
	if c.passwordOf(t, user) != first || readyOf(user).Status != metav1.ConditionTrue {
		t.Fatal("the Secret has a password that a ready pod does not know")
	}
	// It is not wanted any more.
	c.annotate(t, user, v1alpha1.AnnotationRotate, "")
	c.awaitAccepted(t, relay, user, first)
	c.annotate(t, user, v1alpha1.AnnotationRotate, "2")
	if err := c.Delete(t.Context(), silent, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	second := c.awaitNewPassword(t, user, first)
	c.awaitAccepted(t, relay, user, second, first)
	c.awaitCondition(t, user, v1alpha1.ConditionReconciling, metav1.ConditionFalse, "UpToDate")
}

// A pod that starts may turn ready with the shard that it found.
func TestRotationWaitsForPodsThatStartButNotForOnesThatNeverDo(t *testing.T) {
	c, namespace := onCluster(t)
	relay, pods := c.readyRelay(t, namespace, nil)
	user, first := c.readyUser(t, relay, nil)
	starting := c.newPod(relay, 1)
	c.mustCreate(t, starting)
	ip := c.fleet.add(keyOf(starting), relay.Name)
	c.fleet.stick(keyOf(starting), true)
	unreadySince := func(at time.Time) {
		c.changeStatus(t, starting, func() {
			starting.Status = runningStatus(ip)
			starting.Status.Conditions[0].Status, starting.Status.Conditions[0].LastTransitionTime = corev1.ConditionFalse, metav1.NewTime(at)
		})
	}
	unreadySince(time.Now())
	c.pass(t, relay, pods[0])
	c.annotate(t, user, v1alpha1.AnnotationRotate, "1")
	c.awaitCondition(t, user, v1alpha1.ConditionReconciling, metav1.ConditionTrue, "Rotating")
	c.pass(t, relay, pods[0])
	c.pass(t, relay, pods[0])
	c.settle(t, namespace)
	if c.passwordOf(t, user) != first || readyOf(user).Status != metav1.ConditionTrue {
		t.Fatal("the Secret has a password that a pod which starts does not know")
	}
	c.fleet.stick(keyOf(starting), false)
	second := c.awaitNewPassword(t, user, first)

	c.fleet.stick(keyOf(starting), true)
	unreadySince(time.Now().Add(-patience))
	c.annotate(t, user, v1alpha1.AnnotationRotate, "2")
	c.awaitNewPassword(t, user, second)
}

func TestLeakedPasswordEndsAtOnce(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user, first := c.readyUser(t, relay, nil)
	c.annotate(t, user, v1alpha1.AnnotationRotate, "1")
	second := c.awaitNewPassword(t, user, first)
	c.awaitAccepted(t, relay, user, second, first)
	c.annotate(t, user, v1alpha1.AnnotationLeaked, "1")
	third := c.awaitNewPassword(t, user, second)
	c.awaitAccepted(t, relay, user, third)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	c.settle(t, namespace)
	c.mustGet(t, user)
	if user.Status.Rotation.Previous != nil || c.passwordOf(t, user) != third {
		t.Errorf("rotation is %+v", user.Status.Rotation)
	}
	found := false
	for _, e := range c.eventsOf(t, namespace) {
		found = found || e.Reason == "Rotated" && strings.Contains(e.Note, "has leaked") && strings.Contains(e.Note, "has ended")
	}
	if !found {
		t.Error("no event tells of it")
	}
}

func TestOldPasswordEndsAfterTheOverlap(t *testing.T) {
	c, namespace := onCluster(t)
	relay, pods := c.readyRelay(t, namespace, nil)
	user, first := c.readyUser(t, relay, func(user *v1alpha1.RelayUser) {
		user.Spec.Rotation = &v1alpha1.Rotation{Overlap: &metav1.Duration{Duration: time.Hour}}
	})
	c.annotate(t, user, v1alpha1.AnnotationRotate, "1")
	second := c.awaitNewPassword(t, user, first)
	c.awaitAccepted(t, relay, user, second, first)
	used := time.Now().UTC().Truncate(time.Minute).Add(time.Minute)
	c.fleet.change(keyOf(pods[0]), func(r *config.Report) {
		r.PreviousLogins = []config.PreviousLogin{{User: resources.Username(user), At: used}, {User: "other", At: used}}
	})
	c.annotate(t, relay, "test/look", "again")
	eventually(t, "its last use", func() error {
		c.mustGet(t, user)
		if p := previousOf(user); p == nil || p.LastUsed == nil || !p.LastUsed.Time.Equal(used) {
			return fmt.Errorf("previous is %+v", p)
		}
		return nil
	})
	// A pod that restarts knows nothing any more.
	c.fleet.change(keyOf(pods[0]), func(r *config.Report) { r.PreviousLogins = nil })
	c.annotate(t, relay, "test/look", "and again")
	c.settle(t, namespace)
	if c.mustGet(t, user); previousOf(user) == nil || previousOf(user).LastUsed == nil {
		t.Errorf("previous is %+v", previousOf(user))
	}
	// A shorter overlap holds for the old password that is there.
	c.change(t, user, func() { user.Spec.Rotation.Overlap.Duration = 4 * time.Second })
	c.awaitAccepted(t, relay, user, second)
	eventually(t, "status", func() error {
		if c.mustGet(t, user); previousOf(user) != nil {
			return fmt.Errorf("previous is %+v", previousOf(user))
		}
		return nil
	})
	if e := c.awaitEvent(t, namespace, "PreviousEnded"); e.Type != corev1.EventTypeWarning || !strings.Contains(e.Note, used.Format(time.RFC3339)) {
		t.Errorf("event: %s %s", e.Type, e.Note)
	}
}

func TestRotationByInterval(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user, first := c.readyUser(t, relay, func(user *v1alpha1.RelayUser) {
		user.Spec.Rotation = &v1alpha1.Rotation{Interval: &metav1.Duration{Duration: 10 * time.Hour}, Overlap: &metav1.Duration{Duration: time.Hour}}
	})
	if next := user.Status.Rotation.Next.Sub(user.Status.Rotation.Issued.Time); next < 9*time.Hour || next > 10*time.Hour {
		t.Errorf("it is to rotate after %s", next)
	}
	// Ten hours go by: the operator finds its own Secret as it had written it then.
	issued := time.Now().Add(-10 * time.Hour).UTC().Truncate(time.Second)
	aged := resources.CredentialsSecret(relay, user, resources.Credentials{
		CA: []byte("CA of relay-tls"), Password: []byte(first), Annotations: heldPassword{record{issued: issued, previousUntil: issued}, []byte(first)}.annotations(),
	})
	if _, err := (&apply.Applier{Client: c, Live: c}).Apply(t.Context(), user, aged); err != nil {
		t.Fatal(err)
	}
	second := c.awaitNewPassword(t, user, first)
	c.awaitAccepted(t, relay, user, second, first)
	if e := c.awaitEvent(t, namespace, "Rotated"); !strings.Contains(e.Note, "spec.rotation.interval is 10h0m0s") {
		t.Errorf("event: %s", e.Note)
	}
	eventually(t, "the next time in status", func() error {
		if c.mustGet(t, user); time.Until(user.Status.Rotation.Next.Time) < 8*time.Hour {
			return fmt.Errorf("it is %s", user.Status.Rotation.Next)
		}
		return nil
	})
	c.settle(t, namespace)
	if c.passwordOf(t, user) != second {
		t.Error("one interval rotated twice")
	}
}

func TestOverlapMustBeShorterThanTheInterval(t *testing.T) {
	c, namespace := onCluster(t)
	user := newUser(namespace, "app", newRelay(namespace))
	user.Spec.Rotation = &v1alpha1.Rotation{Interval: &metav1.Duration{Duration: 12 * time.Hour}}
	if err := c.Create(t.Context(), user); err == nil || !strings.Contains(err.Error(), "set a shorter overlap") {
		t.Errorf("with the default overlap of a day: %v", err)
	}
	user.Spec.Rotation.Overlap = &metav1.Duration{Duration: time.Hour}
	c.mustCreate(t, user)
}

// The first password is no news, whatever the user had besides, and no password works on.
func TestPasswordThatIsAddedReplacesNone(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user := accountUser(namespace, "app", relay)
	c.mustCreate(t, user)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	c.change(t, user, func() { user.Spec.Authentication.Password = &v1alpha1.PasswordAuthentication{} })
	c.awaitAccepted(t, relay, user, c.awaitNewPassword(t, user, ""))
	c.settle(t, namespace)
	if told := c.eventsOf(t, namespace); tells(told, "Rotated") {
		t.Errorf("events are %+v", told)
	}
	// A rotation that is under way ends with its kind.
	pod := c.newPod(relay, 1)
	c.mustCreate(t, pod)
	c.changeStatus(t, pod, func() { pod.Status = runningStatus("10.98.0.2") })
	c.annotate(t, user, v1alpha1.AnnotationRotate, "1")
	c.awaitCondition(t, user, v1alpha1.ConditionReconciling, metav1.ConditionTrue, "Rotating")
	c.change(t, user, func() { user.Spec.Authentication.Password = nil })
	c.awaitAccepted(t, relay, user)
	c.change(t, user, func() { user.Spec.Authentication.Password = &v1alpha1.PasswordAuthentication{} })
	c.awaitAccepted(t, relay, user, c.awaitNewPassword(t, user, ""))
	c.settle(t, namespace)
	if err := c.accepts(t, relay, user, c.passwordOf(t, user)); err != nil {
		t.Error(err)
	}
}
