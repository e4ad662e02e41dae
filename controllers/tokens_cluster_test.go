package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/tokenissuer"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/policy"
	"github.com/mailrelay-dev/mailrelay-operator/relay/sasl"
)

// accountUser is a RelayUser for the pods of a service account.
func accountUser(namespace, name string, relay *v1alpha1.MailRelay) *v1alpha1.RelayUser {
	user := newUser(namespace, name, relay)
	user.Spec.Authentication = &v1alpha1.UserAuthentication{ServiceAccount: &v1alpha1.ServiceAccountAuthentication{Name: "checkout"}}
	return user
}

// token asks the API server for a token, as a kubelet does.
func (c *cluster) token(t *testing.T, namespace, account, audience string) string {
	t.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}}}
	owner := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}
	if err := c.SubResource("token").Create(t.Context(), owner, request); err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

// TestTokensOfTheClusterAreVerifiedWithWhatTheOperatorWrites: a real API server signs, and the
// relay's own code verifies with nothing but the Secrets that its pods mount.
func TestTokensOfTheClusterAreVerifiedWithWhatTheOperatorWrites(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	for _, name := range []string{"checkout", "other"} {
		c.mustCreate(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}})
	}
	user := accountUser(namespace, "app", relay)
	c.mustCreate(t, user)
	message := c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	if !strings.Contains(message, "service account checkout") {
		t.Errorf("message = %q", message)
	}
	secret := secretNamed(namespace, "app")
	c.mustGet(t, secret)
	audience := string(secret.Data["token-audience"])
	if _, ok := secret.Data["password"]; ok || audience != "mailrelay.dev/"+namespace+"/relay" {
		t.Errorf("password: %v, audience %q", ok, audience)
	}

	validator := c.validator(t, relay, "app."+namespace)
	if owner, err := validator.ValidateToken(c.token(t, namespace, "checkout", audience), ""); err != nil || owner.User != "app."+namespace {
		t.Errorf("its own token is of %q, %v", owner.User, err)
	}
	for name, token := range map[string]string{
		"of another account": c.token(t, namespace, "other", audience),
		"for another relay":  c.token(t, namespace, "checkout", audience+"2"),
	} {
		if owner, err := validator.ValidateToken(token, ""); err == nil {
			t.Errorf("a token %s is of %q", name, owner.User)
		}
	}
}

// validator is what a relay pod makes of its Secrets.
func (c *cluster) validator(t *testing.T, relay *v1alpha1.MailRelay, username string) *sasl.SignedTokens {
	t.Helper()
	written := secretNamed(relay.Namespace, "relay-config-v1")
	c.mustGet(t, written)
	read, err := config.Parse(written.Data["relay.yaml"])
	if err != nil {
		t.Fatal(err)
	}
	if want := "/etc/mailrelay/config/token-keys.json"; read.Users.Tokens.KeysFile != want {
		t.Errorf("keys are looked for in %s", read.Users.Tokens.KeysFile)
	}
	keys, err := config.ParseTokenKeys(written.Data["token-keys.json"])
	if err != nil {
		t.Fatal(err)
	}
	known := c.known(t, relay, username)
	if known == nil || len(known.Passwords) > 0 {
		t.Fatalf("the relay knows %+v", known)
	}
	users := &policy.Users{}
	users.Replace(map[string]config.User{username: *known})
	trust := sasl.Trust{Audience: read.Users.Tokens.Audience, Keys: keys}
	return &sasl.SignedTokens{Users: users, Trust: func() sasl.Trust { return trust }, Now: time.Now}
}

func TestPasswordGoesWhenAServiceAccountTakesItsPlace(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user := newUser(namespace, "app", relay)
	c.mustCreate(t, user)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	c.change(t, user, func() { user.Spec.Authentication = accountUser(namespace, "app", relay).Spec.Authentication })
	eventually(t, "the password goes", func() error {
		secret := secretNamed(namespace, "app")
		c.mustGet(t, secret)
		if known := c.known(t, relay, "app."+namespace); known == nil || len(known.Passwords) > 0 || len(secret.Data["password"]) > 0 ||
			!slices.Equal(known.Subjects, []string{"system:serviceaccount:" + namespace + ":checkout"}) {
			return fmt.Errorf("the relay knows %+v", known)
		}
		return nil
	})
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
}

// fakeIssuer tells a state, and counts who asks for a newer one.
type fakeIssuer struct {
	state tokenissuer.State
	asked int
}

func (f *fakeIssuer) State() tokenissuer.State { return f.state }
func (f *fakeIssuer) Ask()                     { f.asked++ }

func TestRelayKeepsItsTokenKeysWhileTheyCannotBeRead(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	written := secretNamed(namespace, "relay-config-v1")
	eventually(t, "keys", func() error {
		c.mustGet(t, written)
		if len(written.Data["token-keys.json"]) == 0 {
			return fmt.Errorf("there are none")
		}
		return nil
	})
	issuer := &fakeIssuer{}
	r := &MailRelayReconciler{Client: c, Live: c, Tokens: issuer}
	s := newScope(relay, (&memories{}).of(keyOf(relay), relay.UID), noon)
	if keys, err := r.tokenKeys(t.Context(), s); string(keys) != string(written.Data["token-keys.json"]) || err != nil {
		t.Errorf("keys are %q, %v", keys, err)
	}
	issuer.state.Keys = []byte("new")
	if keys, err := r.tokenKeys(t.Context(), s); string(keys) != "new" || err != nil {
		t.Errorf("keys are %q, %v", keys, err)
	}
	stranger := newRelay(namespace)
	stranger.UID = "another"
	issuer.state.Keys = nil
	if keys, err := r.tokenKeys(t.Context(), newScope(stranger, &memory{}, noon)); keys != nil || err != nil {
		t.Errorf("keys of a Secret of someone else: %q, %v", keys, err)
	}
}

// A pod that misses a key has the issuer read again: once for each time, whatever the clocks.
func TestMissedKeyIsAskedFor(t *testing.T) {
	t.Parallel()
	issuer := &fakeIssuer{}
	r := &MailRelayReconciler{Tokens: issuer}
	s := newScope(&v1alpha1.MailRelay{}, &memory{}, noon)
	for _, step := range []struct {
		missed []time.Time
		want   int
	}{
		{[]time.Time{{}, {}}, 0},
		{[]time.Time{{}, noon}, 1},
		{[]time.Time{{}, noon}, 1},
		{[]time.Time{noon.Add(-time.Hour), noon}, 1},
		{[]time.Time{noon.Add(time.Second), noon}, 2},
	} {
		s.facts.Pods = []readiness.Pod{{Name: "silent"}}
		for _, missed := range step.missed {
			s.facts.Pods = append(s.facts.Pods, readiness.Pod{Report: &config.Report{TokenKeyMissed: missed}})
		}
		if r.askForKeys(s); issuer.asked != step.want {
			t.Errorf("after %v it was asked %d times, want %d", step.missed, issuer.asked, step.want)
		}
	}
}

// A user with a service account is not ready before every pod can verify its token.
func TestUserWithATokenWaitsForTheKeys(t *testing.T) {
	t.Parallel()
	relay := newRelay("mail")
	user := accountUser("mail", "app", relay)
	granted, _ := grant(relay, user, nil)
	s := newScope(relay, &memory{secrets: map[string]knownSecret{}}, noon)
	s.users = []relayUser{{object: user, secret: version{uid: "1"}, user: granted}}
	loaded := map[string]string{}
	s.facts.Pods = []readiness.Pod{{Ready: true, Report: &config.Report{Loaded: loaded}}}
	for _, directory := range resources.MountedSecrets(relay) {
		s.hashes[directory] = "new"
		loaded[directory] = "new"
	}
	if len(loadedUsers(s)) > 0 {
		t.Error("it is ready although the relay has no keys")
	}
	s.memory.secrets["relay-config-v1"] = knownSecret{keys: map[string]bool{"token-keys.json": true}}
	if len(loadedUsers(s)) != 1 {
		t.Error("it is not ready although pods have the keys")
	}
	if loaded[resources.ConfigDir] = "old"; len(loadedUsers(s)) > 0 {
		t.Error("it is ready although a pod has not loaded the keys")
	}
}
