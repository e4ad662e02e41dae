package controllers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// What an operator that has just started could not read is not known, which is not the same as
// not there.
func TestReadThatFailsAfterARestartChangesNothing(t *testing.T) {
	crds, err := certManagerCRDs()
	if err != nil {
		t.Fatal(err)
	}
	c, stopOperator := ownCluster(t, crds)
	namespace := c.namespace(t, nil)
	relay, pods := c.readyRelay(t, namespace, nil)
	user, first := c.readyUser(t, relay, nil)
	c.annotate(t, user, v1alpha1.AnnotationRotate, "1")
	c.awaitAccepted(t, relay, user, c.awaitNewPassword(t, user, first), first)
	c.readyCertificateUser(t, relay, newCertificateUser(namespace, "certified", relay))
	c.settle(t, namespace)
	secretPath := "/api/v1/namespaces/" + namespace + "/secrets/"
	// The path of the MailRelay's status, which says that something is tried again.
	said := "PATCH /apis/mailrelay.dev/v1alpha1/namespaces/" + namespace + "/mailrelays/relay/status"
	for _, secret := range []string{"relay-tls", "relay-ca-1", "relay-ca-2", "relay-config-v1", user.Name} {
		stopOperator()
		before, passes := len(c.writes.in(namespace)), c.fleet.polls(keyOf(pods[0]))
		c.writes.failRead(secretPath + secret)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stopOperator = cancel
		if err := c.startOperator(ctx); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a pass after the read of "+secret+" failed", func() error {
			if !c.writes.failedRead() {
				return errors.New("nothing has read it")
			}
			if c.fleet.polls(keyOf(pods[0])) == passes {
				return errors.New("no pod was asked since")
			}
			return nil
		})
		c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionTrue, "Serving")
		c.settle(t, namespace)
		writes := slices.DeleteFunc(c.writes.in(namespace)[before:], func(write string) bool { return write == said })
		if len(writes) > 0 {
			t.Errorf("%s: it wrote:\n%s", secret, strings.Join(writes, "\n"))
		}
	}
	if c.mustGet(t, user); previousOf(user) == nil {
		t.Error("the old password is forgotten")
	}
}
