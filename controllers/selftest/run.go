package selftest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// Test is one run. Its MailRelay delivers to the host "<relay>-sink" of the same namespace,
// which is this process, with the login and CA that are in the Secret "<relay>-sink".
type Test struct {
	// Client reads the MailRelay, its default RelayUser and that one's Secret, and patches the
	// sink's Secret. It needs no other right.
	Client client.Client
	// Namespace and Relay name the MailRelay.
	Namespace, Relay string
	// Listener is where the sink takes connections.
	Listener net.Listener
	// ReadyTimeout is how long the relay may take to get ready, ArrivalTimeout how long the
	// messages may take after that.
	ReadyTimeout, ArrivalTimeout time.Duration
	// Out gets a line for each step.
	Out io.Writer
}

// Run submits a message in each way that the relay offers and returns nil when all have come
// out at the sink. When they have not, it writes what the relay's conditions say.
func (t *Test) Run(ctx context.Context) error {
	id, err := newIdentity(t.sinkName()+"."+t.Namespace+".svc", time.Now())
	if err != nil {
		return err
	}
	sink := startSink(t.Listener, id)
	defer sink.close()
	t.say("the sink listens on %s as %s", t.Listener.Addr(), id.host)
	if err := t.steps(ctx, sink); err != nil {
		t.explain()
		return err
	}
	t.say("passed: the relay carries mail")
	return nil
}

func (t *Test) steps(ctx context.Context, sink *sink) error {
	if err := t.publish(ctx, sink.identity); err != nil {
		return err
	}
	user, err := t.awaitReady(ctx)
	if err != nil {
		return err
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: t.Namespace, Name: resources.CredentialsName(user)}
	if err := t.Client.Get(ctx, key, secret); err != nil {
		return fmt.Errorf("read the credentials: %w", err)
	}
	sent, err := t.submitAll(ctx, secret.Data)
	if err != nil {
		return err
	}
	return t.awaitArrival(ctx, sink, sent)
}

func (t *Test) sinkName() string { return t.Relay + "-sink" }

// publish tells the relay how to deliver to the sink.
func (t *Test) publish(ctx context.Context, id *identity) error {
	patch, err := json.Marshal(map[string]any{"data": id.secret()})
	if err != nil {
		return fmt.Errorf("encode the sink's login: %w", err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace, Name: t.sinkName()}}
	if err := t.Client.Patch(ctx, secret, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("write the sink's login: %w", err)
	}
	return nil
}

// submitAll returns what was submitted: by Message-ID, in which way.
func (t *Test) submitAll(ctx context.Context, b binding) (map[string]string, error) {
	sent := map[string]string{}
	for _, w := range ways {
		id := "<" + rand.Text() + "@example.com>"
		answer, err := b.submit(ctx, w, id)
		if err != nil {
			return nil, fmt.Errorf("submit over port %s (%s): %w", b[w.portKey], w.name, err)
		}
		t.say("submitted over port %s (%s): %s", b[w.portKey], w.name, answer)
		sent[id] = w.name
	}
	return sent, nil
}

func (t *Test) awaitArrival(ctx context.Context, sink *sink, sent map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, t.ArrivalTimeout)
	defer cancel()
	for len(sent) > 0 {
		select {
		case id := <-sink.arrived:
			// A message may come twice, when the relay did not hear the first answer.
			if name, ok := sent[id]; ok {
				t.say("arrived at the sink: what was submitted over %s", name)
				delete(sent, id)
			}
		case <-ctx.Done():
			return fmt.Errorf("%d of %d messages did not come out of the relay within %s", len(sent), len(ways), t.ArrivalTimeout)
		}
	}
	return nil
}

// explainTimeout is how long the last words may take.
const explainTimeout = 10 * time.Second

// explain writes what the conditions say and where else to look. Helm takes the MailRelay away
// when the test has failed; its events and the operator's log stay.
func (t *Test) explain() {
	ctx, cancel := context.WithTimeout(context.Background(), explainTimeout)
	defer cancel()
	relay := &v1alpha1.MailRelay{}
	if err := t.Client.Get(ctx, client.ObjectKey{Namespace: t.Namespace, Name: t.Relay}, relay); err != nil {
		t.say("MailRelay %s cannot be read: %v", t.Relay, err)
	}
	for _, c := range relay.Status.Conditions {
		t.say("  MailRelay %s: %s=%s %s: %s", t.Relay, c.Type, c.Status, c.Reason, c.Message)
	}
	t.say("what happened to the relay:   kubectl -n %s get events | grep %s", t.Namespace, t.Relay)
	t.say("what the operator met with:   kubectl -n %s logs deployment/mailrelay-operator", t.Namespace)
}

func (t *Test) say(format string, args ...any) {
	fmt.Fprintf(t.Out, format+"\n", args...)
}
