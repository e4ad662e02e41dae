//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// dnsName is the pod and Service that hack/e2e.sh has the operator ask.
const dnsName = "e2e-dns"

// startDNS runs a DNS server that has no records yet.
func startDNS(t *testing.T) *app {
	t.Helper()
	s := &site{cluster: &shared, namespace: operatorNamespace}
	pod := s.appPod(dnsName)
	pod.Labels = map[string]string{"app": dnsName}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: dnsName, Namespace: s.namespace},
		Spec: corev1.ServiceSpec{
			Selector: pod.Labels,
			Ports:    []corev1.ServicePort{{Port: 53, Protocol: corev1.ProtocolUDP, TargetPort: intstr.FromInt32(5353)}},
		},
	}
	s.create(t, service)
	t.Cleanup(func() {
		if err := errors.Join(s.Delete(context.Background(), service), s.Delete(context.Background(), pod)); err != nil {
			t.Error(err)
		}
	})
	a := s.startPod(t, pod)
	a.publish(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	t.Cleanup(func() { cancel(); <-ended })
	go func() {
		defer close(ended)
		out, err := a.run(ctx, "", "python3", "-c", answerTXT)
		if ctx.Err() == nil {
			t.Errorf("the DNS server ended: %v\n%s", err, out)
		}
	}()
	return a
}

// publish makes these the records of the DNS server.
func (a *app) publish(t *testing.T, records ...v1alpha1.DKIMRecord) {
	t.Helper()
	zone := map[string][]string{}
	for _, r := range records {
		zone[r.Name] = strings.Split(strings.Trim(r.Quoted, `"`), `" "`)
	}
	file, err := json.Marshal(zone)
	if err != nil {
		t.Fatal(err)
	}
	a.must(t, string(file), "bash", "-c", "cat >"+recordsFile+".new && mv "+recordsFile+".new "+recordsFile)
}

// raw is a message as it arrived; empty until it has.
func (p *provider) raw(ctx context.Context, subject string) (string, error) {
	messages, err := p.messages(ctx, subject)
	if err != nil || len(messages) == 0 {
		return "", err
	}
	raw, err := p.typed.CoreV1().Services(p.namespace).
		ProxyGet("http", "mailpit", "8025", "/api/v1/message/"+messages[0].ID+"/raw", nil).DoRaw(ctx)
	return string(raw), err
}

// sendAndTake sends a message and returns it as it arrived.
func (a *app) sendAndTake(t *testing.T, p *provider, subject string) string {
	t.Helper()
	a.python(t, sendOne, "implicit", sender, recipient, subject)
	var raw string
	waitFor(t, 30*time.Second, subject+" to arrive", func(ctx context.Context) (bool, string) {
		var err error
		raw, err = p.raw(ctx, subject)
		return raw != "", fmt.Sprint(err)
	})
	return raw
}

// waitKey waits until status has a DKIM key in this state.
func (s *site) waitKey(t *testing.T, state string) v1alpha1.DKIMStatus {
	t.Helper()
	var found v1alpha1.DKIMStatus
	begin := time.Now()
	waitFor(t, time.Minute, "a DKIM key to be "+state, func(ctx context.Context) (bool, string) {
		var relay v1alpha1.MailRelay
		if err := s.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: relayName}, &relay); err != nil {
			return false, err.Error()
		}
		for _, k := range relay.Status.DKIM {
			if k.State == state {
				found = k
				return true, ""
			}
		}
		return false, fmt.Sprintf("%+v", relay.Status.DKIM)
	})
	t.Logf("%s after %s", state, time.Since(begin).Round(time.Millisecond))
	return found
}

// mustVerify checks that a message has one signature, and that it is by this key.
func mustVerify(t *testing.T, raw string, key v1alpha1.DKIMStatus) {
	t.Helper()
	verified, err := dkim.VerifyWithOptions(strings.NewReader(raw), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		if name != key.Record.Name {
			return nil, fmt.Errorf("%s is another key", name)
		}
		return []string{key.Record.Value}, nil
	}})
	if err != nil || len(verified) != 1 || verified[0].Err != nil {
		t.Errorf("signatures: %+v, %v\n%s", verified, err, raw)
	}
}

func TestGeneratedDKIMKeySignsOncePublished(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "dkim")
	relay := newRelay(p)
	relay.Spec.DKIM = []v1alpha1.DKIMKey{{Domain: "example.com", Selector: "mail", Generate: &v1alpha1.DKIMGenerate{}}}
	s.startRelay(t, p, relay)
	s.waitCondition(t, relayName, relay, v1alpha1.ConditionDKIMPublished, metav1.ConditionFalse, "DKIMRecordMissing")
	first := s.waitKey(t, v1alpha1.DKIMWaiting)
	s.get(t, first.SecretName, &corev1.Secret{})
	a := s.startApp(t, defaultUser)
	if raw := a.sendAndTake(t, p, s.namespace+" before"); strings.Contains(raw, "DKIM-Signature") {
		t.Errorf("signed before the record was published:\n%s", raw)
	}

	// Pods load what changed within seconds.
	loaded := func() { s.waitCondition(t, relayName, relay, v1alpha1.ConditionReconciling, metav1.ConditionFalse, "") }
	dns := startDNS(t)
	dns.publish(t, first.Record)
	s.waitKey(t, v1alpha1.DKIMPublished)
	s.waitCondition(t, relayName, relay, v1alpha1.ConditionDKIMPublished, metav1.ConditionTrue, "Published")
	loaded()
	mustVerify(t, a.sendAndTake(t, p, s.namespace+" published"), first)

	s.change(t, relayName, relay, func() { relay.Annotations = map[string]string{"mailrelay.dev/rotate-dkim": "1"} })
	second := s.waitKey(t, v1alpha1.DKIMWaiting)
	mustVerify(t, a.sendAndTake(t, p, s.namespace+" rotating"), first)
	dns.publish(t, first.Record, second.Record)
	if retired := s.waitKey(t, v1alpha1.DKIMRetired); retired.Selector != first.Selector {
		t.Errorf("retired is %+v", retired)
	}
	loaded()
	mustVerify(t, a.sendAndTake(t, p, s.namespace+" rotated"), second)
}
