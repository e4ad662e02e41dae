package selftest

import (
	"bytes"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

const namespace = "mailrelay-system"

func condition(kind string, status metav1.ConditionStatus, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: "Because", Message: message}
}

// newTest is a test of a relay called "relay" that is ready or not, on an API server with its
// objects. The credentials of its default user are those of front.
func newTest(t *testing.T, front *fakeRelay, ready metav1.ConditionStatus) (*Test, *bytes.Buffer) {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	relay := &v1alpha1.MailRelay{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "relay"}}
	relay.Status.Conditions = []metav1.Condition{
		condition(v1alpha1.ConditionReady, ready, "the summary"),
		condition(v1alpha1.ConditionUpstreamReady, metav1.ConditionFalse, "mend this"),
	}
	user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "relay-default"}}
	user.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionReady, metav1.ConditionTrue, "")}
	api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(relay, user,
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "relay-default"}, Data: front.binding()},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "relay-sink"}},
	).Build()
	listener := listen(t)
	front.deliverTo(api, client.ObjectKey{Namespace: namespace, Name: "relay-sink"}, listener.Addr().String())
	out := &bytes.Buffer{}
	return &Test{
		Client: api, Namespace: namespace, Relay: "relay", Listener: listener, Out: out,
		ReadyTimeout: 10 * time.Second, ArrivalTimeout: 10 * time.Second,
	}, out
}

func mustSay(t *testing.T, out *bytes.Buffer, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it did not say %q:\n%s", want, out)
		}
	}
}

func TestRunPassesWhenBothMessagesComeOut(t *testing.T) {
	t.Parallel()
	front := newFakeRelay(t)
	test, out := newTest(t, front, metav1.ConditionTrue)
	if err := test.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	mustSay(t, out, "(implicit TLS): queued as Q1\n", "(STARTTLS): queued as Q2\n",
		"arrived at the sink: what was submitted over implicit TLS\n",
		"arrived at the sink: what was submitted over STARTTLS\n", "passed")
	if strings.Contains(out.String(), string(front.binding()["password"])) {
		t.Error("it printed a password")
	}
}

func TestRunWaitsForTheWayToTheRelay(t *testing.T) {
	t.Parallel()
	front := newFakeRelay(t)
	front.openLate(t, 2*lookAgain)
	test, out := newTest(t, front, metav1.ConditionTrue)
	if err := test.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestRunFailsWhenAMessageIsLost(t *testing.T) {
	t.Parallel()
	front := newFakeRelay(t)
	front.loses = 1
	test, out := newTest(t, front, metav1.ConditionTrue)
	test.ArrivalTimeout = 500 * time.Millisecond
	err := test.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "1 of 2 messages did not come out") {
		t.Fatalf("%v\n%s", err, out)
	}
	mustSay(t, out, "MailRelay relay: UpstreamReady=False Because: mend this", "kubectl -n mailrelay-system logs")
	if strings.Contains(out.String(), "passed") {
		t.Errorf("it passed:\n%s", out)
	}
}

func TestRunFailsWhenTheRelayRefuses(t *testing.T) {
	t.Parallel()
	front := newFakeRelay(t)
	test, out := newTest(t, front, metav1.ConditionTrue)
	front.password = "changed"
	err := test.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "(implicit TLS): log in: ") {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestRunFailsWhenTheRelayDoesNotGetReady(t *testing.T) {
	t.Parallel()
	test, out := newTest(t, newFakeRelay(t), metav1.ConditionFalse)
	test.ReadyTimeout = 200 * time.Millisecond
	err := test.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "MailRelay relay did not get ready: it took longer than 200ms") {
		t.Fatalf("%v\n%s", err, out)
	}
	mustSay(t, out, "MailRelay relay is not ready: Because: the summary\n", "UpstreamReady=False Because: mend this")
}

func TestRunSaysWhatItCannotRead(t *testing.T) {
	t.Parallel()
	test, out := newTest(t, newFakeRelay(t), metav1.ConditionTrue)
	test.Relay, test.ReadyTimeout = "other", 200*time.Millisecond
	if err := test.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "write the sink's login") {
		t.Fatalf("%v\n%s", err, out)
	}
	mustSay(t, out, "MailRelay other cannot be read")
}
