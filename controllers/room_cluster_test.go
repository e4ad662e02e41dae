package controllers

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/users"
)

// longAddresses are as many addresses, of nearly 190 characters each.
func longAddresses(count int) []string {
	all := make([]string, count)
	for i := range all {
		all[i] = fmt.Sprintf("%03d%s@%s.%s.example.com", i, strings.Repeat("a", 60), strings.Repeat("b", 60), strings.Repeat("c", 50))
	}
	return all
}

// TestUserForWhomThereIsNoRoomIsTold fills a shard with users who write all their lists out.
func TestUserForWhomThereIsNoRoomIsTold(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, func(relay *v1alpha1.MailRelay) { relay.Spec.Message.SenderDomains = nil })
	const count = 45
	shard := users.Shard("first." + namespace)
	for i, made := 0, 0; made < count; i++ {
		user := newUser(namespace, fmt.Sprintf("app-%d", i), relay)
		if users.Shard(user.Name+"."+namespace) != shard {
			continue
		}
		user.Spec.AllowedSenders = longAddresses(64)
		user.Spec.Recipients = v1alpha1.UserRecipients{Allow: longAddresses(32), Deny: longAddresses(32)}
		c.mustCreate(t, user)
		c.await(t, secretNamed(namespace, user.Name))
		made++
	}
	// Whoever is left out may come to be so only when the last Secret is there.
	var ready, left []*v1alpha1.RelayUser
	sort := func() error {
		list := &v1alpha1.RelayUserList{}
		if err := c.List(t.Context(), list, client.InNamespace(namespace)); err != nil {
			return err
		}
		ready, left = nil, nil
		for i := range list.Items {
			user := &list.Items[i]
			switch condition := meta.FindStatusCondition(user.Status.Conditions, v1alpha1.ConditionReady); {
			case condition == nil || user.Name == "relay-default":
			case condition.Reason == "NoRoom":
				left = append(left, user)
				mustSay(t, condition.Message, "holds 1 MiB", "senders and recipients", "second MailRelay")
			case condition.Reason == "CredentialsReady":
				ready = append(ready, user)
			}
		}
		if len(ready)+len(left) != count || len(left) == 0 {
			return fmt.Errorf("%d users are ready and %d left out", len(ready), len(left))
		}
		return nil
	}
	eventually(t, "each user is ready or told that there is no room", sort)
	for _, user := range left {
		if c.known(t, relay, user.Name+"."+namespace) != nil {
			t.Errorf("the relay knows %s", user.Name)
		}
	}
	was := len(left)
	if err := c.Delete(t.Context(), ready[0]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "one who was left out gets the room", func() error {
		if err := sort(); len(ready)+len(left) != count-1 || len(left) != was-1 {
			return fmt.Errorf("%d are left out of %d, before it was %d, %w", len(left), len(ready)+len(left), was, err)
		}
		return nil
	})
}
