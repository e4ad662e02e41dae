package controllers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// writtenDecoyKey is the key of unknown users that the pods of a relay find.
func (c *cluster) writtenDecoyKey(t *testing.T, namespace string) string {
	t.Helper()
	written := secretNamed(namespace, "relay-config-v1")
	c.mustGet(t, written)
	found, err := config.Parse(written.Data["relay.yaml"])
	if err != nil {
		t.Fatal(err)
	}
	return found.Users.DecoyKey
}

func TestKeyForUnknownUsersIsSecretAndStays(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	key := c.writtenDecoyKey(t, namespace)
	c.mustGet(t, relay)
	if len(key) < 16 || strings.Contains(fmt.Sprintf("%+v", relay), key) {
		t.Fatalf("key = %q, which a reader of the MailRelay knows: %+v", key, relay)
	}
	other := c.namespace(t, nil)
	c.readyRelay(t, other, nil)
	if c.writtenDecoyKey(t, other) == key {
		t.Error("two relays have one key")
	}

	c.change(t, relay, func() { relay.Spec.Message.ReceivedUser = true })
	eventually(t, "a new configuration", func() error {
		written := secretNamed(namespace, "relay-config-v1")
		c.mustGet(t, written)
		if !strings.Contains(string(written.Data["relay.yaml"]), "receivedUser: true") {
			return fmt.Errorf("relay.yaml is\n%s", written.Data["relay.yaml"])
		}
		return nil
	})
	if again := c.writtenDecoyKey(t, namespace); again != key {
		t.Errorf("the key went from %q to %q with a change of spec", key, again)
	}
}

// A Secret that someone else wrote under the name must not choose the key, and one that is
// deleted must not change it.
func TestKeyForUnknownUsersIsOnlyTakenFromOurOwn(t *testing.T) {
	c, namespace := onCluster(t)
	foreign := secretNamed(namespace, "relay-config-v1")
	foreign.Data = map[string][]byte{"decoy-key": []byte("known to everybody")}
	c.mustCreate(t, foreign)
	relay := newRelay(namespace)
	relay.Spec.Paused = true // The operator keeps its hands off.
	c.mustCreate(t, relay)
	r := &MailRelayReconciler{Client: c, Live: c}
	s := newScope(relay, (&memories{}).of(keyOf(relay), relay.UID), noon)
	key, err := r.decoyKey(t.Context(), s)
	if err != nil || key == "known to everybody" {
		t.Fatalf("key = %q, %v", key, err)
	}
	if err := c.Delete(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	if again, err := r.decoyKey(t.Context(), s); again != key || err != nil {
		t.Errorf("the key went from %q to %q, %v", key, again, err)
	}
}
