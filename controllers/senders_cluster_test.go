package controllers

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestRefusedSenderIsToldRelayAndUser(t *testing.T) {
	c, namespace := onCluster(t)
	relay, pods := c.readyRelay(t, namespace, nil)
	user, other := newUser(namespace, "app", relay), newUser(namespace, "other", relay)
	c.mustCreate(t, user, other)
	for _, u := range []*v1alpha1.RelayUser{user, other} {
		c.awaitCondition(t, u, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	}
	refused := []config.SenderReport{{User: "app." + namespace, Sender: "app@example.com", Upstream: "provider", Reply: "554 Email address is not verified", Since: noon}}
	c.fleet.change(keyOf(pods[0]), func(r *config.Report) { r.SendersRefused = refused })
	c.change(t, relay, func() { relay.Annotations = map[string]string{"test/pass": "1"} })

	message := c.awaitCondition(t, relay, v1alpha1.ConditionQueueHealthy, metav1.ConditionFalse, "SenderRefused")
	if want := "mail of user app." + namespace + " from app@example.com since 2030-01-01T12:00:00Z (554 Email address is not verified)"; !strings.Contains(message, want) {
		t.Errorf("message = %q", message)
	}
	message = c.awaitCondition(t, user, v1alpha1.ConditionSendersAccepted, metav1.ConditionFalse, "SenderRefused")
	if !strings.Contains(message, "upstream provider does not take mail from app@example.com") || strings.Contains(message, namespace) {
		t.Errorf("message = %q", message)
	}
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	c.awaitCondition(t, other, v1alpha1.ConditionSendersAccepted, metav1.ConditionTrue, "NoneRefused")
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionTrue, "Serving")

	// More passes tell nothing more.
	for i := range 2 {
		polls := c.fleet.polls(keyOf(pods[0]))
		c.change(t, relay, func() { relay.Annotations = map[string]string{"test/pass": fmt.Sprint("again ", i)} })
		eventually(t, "a pass", func() error {
			if c.fleet.polls(keyOf(pods[0])) == polls {
				return fmt.Errorf("the pod was not asked since")
			}
			return nil
		})
	}
	warnings := func() map[string]int {
		told := map[string]int{}
		for _, e := range c.eventsOf(t, namespace) {
			if e.Reason == "SenderRefused" && e.Type == corev1.EventTypeWarning && e.Series == nil {
				told[e.Regarding.Kind+"/"+e.Regarding.Name]++
			}
		}
		return told
	}
	want := map[string]int{"MailRelay/relay": 1, "RelayUser/app": 1}
	eventually(t, "one warning of each", func() error {
		if got := warnings(); !maps.Equal(got, want) {
			return fmt.Errorf("warnings are %v, want %v", got, want)
		}
		return nil
	})

	c.fleet.change(keyOf(pods[0]), func(r *config.Report) { r.SendersRefused = nil })
	c.change(t, relay, func() { relay.Annotations = map[string]string{"test/pass": "mended"} })
	c.awaitCondition(t, relay, v1alpha1.ConditionQueueHealthy, metav1.ConditionTrue, "Delivering")
	c.awaitCondition(t, user, v1alpha1.ConditionSendersAccepted, metav1.ConditionTrue, "NoneRefused")
	if got := warnings(); !maps.Equal(got, want) {
		t.Errorf("warnings are %v, want %v", got, want)
	}
}
