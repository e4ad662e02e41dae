package controllers

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/users"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestUserThatTheRelayCouldNotReadIsRefused(t *testing.T) {
	t.Parallel()
	relay := newRelay("mail")
	for name, reason := range map[string]string{"app": "", "a\x01b": "InvalidUser", strings.Repeat("a", 255): "InvalidUser"} {
		granted, decision := grant(relay, newUser("mail", name, relay), nil)
		if decision.Reason != reason || granted.Name != name+".mail" {
			t.Errorf("%q is %+v, %q (%s), want %q", name, granted, decision.Reason, decision.Message, reason)
		}
	}
}

// Pods that hold mail stay when a relay asks for fewer, and send at their share until then.
func TestRatesAreSharedByThePodsThatRun(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		asked, running int32
		want           int
	}{{asked: 1, running: 0, want: 12}, {asked: 3, running: 1, want: 4}, {asked: 1, running: 3, want: 4}} {
		relay := newRelay("mail")
		relay.Spec.Replicas = &tc.asked
		relay.Status.Replicas = tc.running
		user := newUser("mail", "app", relay)
		user.Spec.Rate = &v1alpha1.Rate{Messages: ptr(int32(12))}
		granted, _ := grant(relay, user, nil)
		if len(granted.Rates) != 1 || granted.Rates[0].Messages != tc.want {
			t.Errorf("%d asked for, %d running: each pod has %+v, want %d", tc.asked, tc.running, granted.Rates, tc.want)
		}
	}
}

func TestEveryUserHasABoundInTheQueue(t *testing.T) {
	t.Parallel()
	relay := newRelay("mail")
	user := newUser("mail", "app", relay)
	if granted, _ := grant(relay, user, nil); granted.MaxQueued != 10_000 || len(granted.Rates) > 0 {
		t.Errorf("without a rate it is %+v", granted)
	}
	user.Spec.Rate = &v1alpha1.Rate{Messages: ptr(int32(1)), MaxQueued: ptr(int32(500))}
	if granted, _ := grant(relay, user, nil); granted.MaxQueued != 500 {
		t.Errorf("with a bound of 500 it is %+v", granted)
	}
}

// Whatever is granted goes into one file with the grants of others, which a relay reads or
// refuses as a whole.
func FuzzGrantedUserCanBeWritten(f *testing.F) {
	for _, sender := range []string{
		"*", "<>", "app@example.com", "*.example.com", strings.Repeat("é", 46) + "@example.com", "\u0085@example.com", "\u2028@a", "\ufeff@a", "- a: b@c", "\u212a.example",
	} {
		f.Add("app", sender)
	}
	relay := newRelay("mail")
	relay.Spec.Message.SenderDomains = nil
	f.Fuzz(func(t *testing.T, name, sender string) {
		if !utf8.ValidString(name) || !utf8.ValidString(sender) {
			return // the API server takes text only
		}
		user := newUser("mail", name, relay)
		user.Spec.AllowedSenders = []string{sender}
		granted, decision := grant(relay, user, nil)
		if !decision.Granted() {
			return
		}
		data, err := config.MarshalUserFile(&config.UserFile{Version: config.Version, Users: []config.User{granted}})
		if err != nil {
			t.Fatalf("%q with %q is granted and cannot be written: %v", name, granted.Senders, err)
		}
		file, err := config.ParseUserFile(data)
		if err != nil || file.Users[0].Name != granted.Name || !slices.Equal(file.Users[0].Senders, granted.Senders) {
			t.Fatalf("%+v is read back as %+v, %v", granted, file, err)
		}
	})
}

// One shard that cannot be written must not keep the others as they were, with the verifiers
// of users who were removed.
func TestOneShardDoesNotHoldUpTheOthers(t *testing.T) {
	c, namespace := onCluster(t)
	relay := newRelay(namespace)
	relay.Spec.Paused = true // The operator keeps its hands off.
	c.mustCreate(t, relay)
	good := []string{"one", "two", "three", "four"}
	s := newScope(relay, (&memories{}).of(keyOf(relay), relay.UID), noon)
	for _, name := range append([]string{"bad\x01"}, good...) {
		s.users = append(s.users, relayUser{user: config.User{Name: name}})
	}
	r := &MailRelayReconciler{Client: c, Live: c}
	if err := r.applyShards(t.Context(), s); err == nil || !strings.Contains(err.Error(), "is not a user name") {
		t.Fatalf("applyShards = %v, want it to tell of the bad user", err)
	}
	for _, name := range good {
		written := c.known(t, relay, name) != nil
		if shared := users.Shard(name) == users.Shard("bad\x01"); written == shared {
			t.Errorf("user %s is written: %v, in the bad one's shard: %v", name, written, shared)
		}
	}
}

func TestUserWithAnInvalidSenderHarmsOnlyItself(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	removed := newUser(namespace, "removed", relay)
	c.mustCreate(t, removed)
	c.awaitCondition(t, removed, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")

	bad := newUser(namespace, "bad", relay)
	bad.Spec.AllowedSenders = []string{strings.Repeat("é", 46) + "@example.com"}
	c.mustCreate(t, bad)
	message := c.awaitCondition(t, bad, v1alpha1.ConditionStalled, metav1.ConditionTrue, "InvalidSender")
	if !strings.Contains(message, "spec.allowedSenders") {
		t.Errorf("message = %q", message)
	}
	good := newUser(namespace, "good", relay)
	c.mustCreate(t, good)
	c.awaitCondition(t, good, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	if err := c.Delete(t.Context(), removed); err != nil {
		t.Fatal(err)
	}
	c.awaitUnknown(t, relay, "removed."+namespace)
}
