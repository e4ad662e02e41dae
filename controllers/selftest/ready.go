package selftest

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// lookAgain is the pause between two looks at an object.
const lookAgain = 500 * time.Millisecond

// awaitReady waits for the relay and then for its default user, whom it returns.
func (t *Test) awaitReady(ctx context.Context) (*v1alpha1.RelayUser, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, t.ReadyTimeout, fmt.Errorf("it took longer than %s", t.ReadyTimeout))
	defer cancel()
	relay := &v1alpha1.MailRelay{ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace, Name: t.Relay}}
	if err := t.await(ctx, "MailRelay", relay, func() []metav1.Condition { return relay.Status.Conditions }); err != nil {
		return nil, err
	}
	user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace, Name: resources.DefaultUserName(relay)}}
	return user, t.await(ctx, "RelayUser", user, func() []metav1.Condition { return user.Status.Conditions })
}

// await waits until the object is ready, and says whenever the reason why it is not changes.
func (t *Test) await(ctx context.Context, kind string, object client.Object, conditions func() []metav1.Condition) error {
	key := client.ObjectKeyFromObject(object)
	said := ""
	err := wait.PollUntilContextCancel(ctx, lookAgain, true, func(ctx context.Context) (bool, error) {
		state := "the operator has not looked at it yet"
		if err := t.Client.Get(ctx, key, object); err != nil {
			state = err.Error()
		} else if ready := meta.FindStatusCondition(conditions(), v1alpha1.ConditionReady); ready != nil && ready.ObservedGeneration == object.GetGeneration() {
			if ready.Status == metav1.ConditionTrue {
				return true, nil
			}
			state = ready.Reason + ": " + ready.Message
		}
		if state != said && ctx.Err() == nil {
			said = state
			t.say("%s %s is not ready: %s", kind, key.Name, state)
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("%s %s did not get ready: %w", kind, key.Name, context.Cause(ctx))
	}
	t.say("%s %s is ready", kind, key.Name)
	return nil
}
