package controllers

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/users"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func newUser(namespace, name string, relay *v1alpha1.MailRelay) *v1alpha1.RelayUser {
	user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	user.Spec.RelayRef = v1alpha1.RelayReference{Name: relay.Name, Namespace: relay.Namespace}
	return user
}

// known is a user as the relay's shard has it, nil when it has it not.
func (c *cluster) known(t *testing.T, relay *v1alpha1.MailRelay, username string) *config.User {
	t.Helper()
	shard := secretNamed(relay.Namespace, resources.UsersName(relay, users.Shard(username)))
	if err := c.Get(t.Context(), keyOf(shard), shard); err != nil {
		return nil
	}
	file, err := config.ParseUserFile(shard.Data[resources.UsersKey])
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(file.Users, func(u config.User) bool { return u.Name == username })
	if at < 0 {
		return nil
	}
	return &file.Users[at]
}

// awaitUnknown waits until the relay does not know a user any more.
func (c *cluster) awaitUnknown(t *testing.T, relay *v1alpha1.MailRelay, username string) {
	t.Helper()
	eventually(t, "the verifier of "+username+" goes", func() error {
		if c.known(t, relay, username) != nil {
			return fmt.Errorf("it is there")
		}
		return nil
	})
}

func TestUserGetsCredentialsThatTheRelayKnows(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user := newUser(namespace, "app", relay)
	user.Spec.AllowedSenders = []string{"app@example.com"}
	c.mustCreate(t, user)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	if user.Status.Binding == nil || user.Status.Binding.Name != "app" || user.Status.Username != "app."+namespace ||
		!slices.Equal(user.Status.Senders, []string{"app@example.com"}) {
		t.Errorf("status = %+v", user.Status)
	}
	secret := secretNamed(namespace, "app")
	c.mustGet(t, secret)
	host := "relay." + namespace + ".svc"
	for key, want := range map[string]string{
		"type": "smtp", "provider": "mailrelay", "host": host, "port": "465", "uri": "smtps://" + host + ":465",
		"submission-port": "587", "tls": "implicit", "username": user.Status.Username, "certificates": string(c.awaitBundle(t, namespace, 1, 2)),
	} {
		if got := string(secret.Data[key]); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
	if secret.Type != v1alpha1.SecretTypeSMTP || len(secret.Data["password"]) != 43 {
		t.Errorf("type %s, password of %d characters", secret.Type, len(secret.Data["password"]))
	}
	known := c.known(t, relay, user.Status.Username)
	if known == nil || !slices.Equal(known.Senders, user.Status.Senders) {
		t.Fatalf("the relay knows %+v", known)
	}
	if ok, err := known.Passwords[0].Check(string(secret.Data["password"])); !ok || err != nil {
		t.Errorf("the relay's verifier does not accept the password: %v", err)
	}
}

func TestDeletedCredentialsAreMadeAnew(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user := newUser(namespace, "app", relay)
	c.mustCreate(t, user)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	old := secretNamed(namespace, "app")
	c.mustGet(t, old)
	if err := c.Delete(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	fresh := secretNamed(namespace, "app")
	eventually(t, "the relay knows the new password", func() error {
		if err := c.Get(t.Context(), keyOf(fresh), fresh); err != nil {
			return err
		}
		if bytes.Equal(fresh.Data["password"], old.Data["password"]) {
			return fmt.Errorf("the old password is back")
		}
		known := c.known(t, relay, "app."+namespace)
		if known == nil {
			return fmt.Errorf("the relay does not know the user")
		}
		if ok, err := known.Passwords[0].Check(string(fresh.Data["password"])); err != nil || !ok {
			return errors.Join(err, fmt.Errorf("the verifier accepts the password: %t", ok))
		}
		return nil
	})
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
}

func TestVerifierStaysWhileThePasswordDoes(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user := newUser(namespace, "app", relay)
	c.mustCreate(t, user)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	before := c.known(t, relay, "app."+namespace)
	secret := secretNamed(namespace, "app")
	// Anything else about the Secret changes its version, but not the password.
	c.change(t, secret, func() { secret.Labels["team"] = "shop" })
	c.change(t, user, func() { user.Spec.AllowedSenders = []string{"app@example.com"} })
	eventually(t, "the relay knows the narrower senders", func() error {
		known := c.known(t, relay, "app."+namespace)
		if !slices.Equal(known.Senders, user.Spec.AllowedSenders) {
			return fmt.Errorf("senders are %v", known.Senders)
		}
		if known.Passwords[0] != before.Passwords[0] {
			t.Fatal("the verifier was made anew")
		}
		return nil
	})
}

func TestUserOfAnotherNamespace(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	elsewhere := c.namespace(t, nil)
	user := newUser(elsewhere, "app", relay)
	c.mustCreate(t, user)
	message := c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionFalse, "NotLetIn")
	if !strings.Contains(message, "spec.access.rules") || !strings.Contains(message, elsewhere) {
		t.Errorf("message = %q", message)
	}
	c.awaitCondition(t, user, v1alpha1.ConditionStalled, metav1.ConditionTrue, "NotLetIn")

	c.change(t, relay, func() {
		relay.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{
			{}, {Namespaces: &v1alpha1.NamespaceRule{Selector: &v1alpha1.LabelSelector{MatchLabels: map[string]string{"mail": "yes"}}}},
		}}
	})
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: elsewhere}}
	c.change(t, space, func() { space.Labels["mail"] = "yes" })
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	if c.known(t, relay, "app."+elsewhere) == nil {
		t.Fatal("the relay does not know the user")
	}

	c.change(t, space, func() { delete(space.Labels, "mail") })
	c.awaitUnknown(t, relay, "app."+elsewhere)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionFalse, "NotLetIn")
}

func TestUserOfARelayThatComesLate(t *testing.T) {
	c, namespace := onCluster(t)
	user := newUser(namespace, "app", newRelay(namespace))
	c.mustCreate(t, user)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionFalse, "RelayMissing")
	c.readyRelay(t, namespace, nil)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
}

func TestPodsShareTheRateOfAUser(t *testing.T) {
	c, namespace := onCluster(t)
	rate := &v1alpha1.Rate{Messages: ptr(int32(14))}
	relay, _ := c.readyRelay(t, namespace, func(relay *v1alpha1.MailRelay) {
		relay.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{SendingLimits: v1alpha1.SendingLimits{Rate: rate}}}}
	})
	user := newUser(namespace, "app", relay)
	user.Spec.Rate = &v1alpha1.Rate{Recipients: ptr(int32(100)), Period: &metav1.Duration{Duration: time.Hour}, OnExceed: "Refuse"}
	c.mustCreate(t, user)
	c.awaitRates(t, relay, user, config.Rate{Messages: 14, Period: time.Minute}, config.Rate{Recipients: 100, Period: time.Hour})
	if known := c.known(t, relay, "app."+namespace); known.OnExceed != config.OnExceedRefuse || known.MaxQueued == 0 {
		t.Errorf("the relay knows %+v", known)
	}
	c.change(t, relay, func() { relay.Spec.Replicas = ptr(int32(2)) })
	c.awaitRates(t, relay, user, config.Rate{Messages: 7, Period: time.Minute}, config.Rate{Recipients: 50, Period: time.Hour})
}

func (c *cluster) awaitRates(t *testing.T, relay *v1alpha1.MailRelay, user *v1alpha1.RelayUser, want ...config.Rate) {
	t.Helper()
	eventually(t, "the rates of the user", func() error {
		if known := c.known(t, relay, user.Name+"."+user.Namespace); known == nil || !slices.Equal(known.Rates, want) {
			return fmt.Errorf("the relay knows %+v, want rates %v", known, want)
		}
		return nil
	})
}

func TestAnySenderIsWarnedOf(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, func(relay *v1alpha1.MailRelay) { relay.Spec.Message.SenderDomains = nil })
	message := c.awaitCondition(t, relay, v1alpha1.ConditionSendersRestricted, metav1.ConditionFalse, "AnySender")
	if !strings.Contains(message, "relay-default."+namespace) || !strings.Contains(message, "message.senderDomains") {
		t.Errorf("message = %q", message)
	}
}
