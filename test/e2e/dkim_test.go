//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// dnsName is the pod and Service that hack/e2e.sh has the operator ask.
const dnsName = "e2e-dns"

// startDNS runs a pod that can answer for DNS, and that answers nothing yet.
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
	return s.startPod(t, pod)
}

// publish answers with the record until the test ends.
func (a *app) publish(t *testing.T, record v1alpha1.DKIMRecord) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	t.Cleanup(func() { cancel(); <-ended })
	parts := strings.Split(strings.Trim(record.Quoted, `"`), `" "`)
	go func() {
		defer close(ended)
		out, err := a.run(ctx, "", append([]string{"python3", "-c", answerTXT, record.Name}, parts...)...)
		if ctx.Err() == nil {
			t.Errorf("the DNS server ended: %v\n%s", err, out)
		}
	}()
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

func TestGeneratedDKIMKeySignsOncePublished(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "dkim")
	relay := newRelay(p)
	relay.Spec.DKIM = []v1alpha1.DKIMKey{{Domain: "example.com", Selector: "mail", Generate: &v1alpha1.DKIMGenerate{}}}
	s.startRelay(t, p, relay)
	s.waitCondition(t, relayName, relay, v1alpha1.ConditionDKIMPublished, metav1.ConditionFalse, "DKIMRecordMissing")
	if len(relay.Status.DKIM) != 1 {
		t.Fatalf("status.dkim is %+v", relay.Status.DKIM)
	}
	key := relay.Status.DKIM[0]
	s.get(t, key.SecretName, &corev1.Secret{})
	a := s.startApp(t, defaultUser)
	arrives := func(subject string) string {
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
	if raw := arrives(s.namespace + " before"); strings.Contains(raw, "DKIM-Signature") {
		t.Errorf("signed before the record was published:\n%s", raw)
	}

	startDNS(t).publish(t, key.Record)
	s.waitCondition(t, relayName, relay, v1alpha1.ConditionDKIMPublished, metav1.ConditionTrue, "Published")
	s.waitCondition(t, relayName, relay, v1alpha1.ConditionReconciling, metav1.ConditionFalse, "")
	raw := arrives(s.namespace + " after")
	verified, err := dkim.VerifyWithOptions(strings.NewReader(raw), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		if name != key.Record.Name {
			return nil, fmt.Errorf("%s is not published", name)
		}
		return []string{key.Record.Value}, nil
	}})
	if err != nil || len(verified) != 1 || verified[0].Err != nil {
		t.Errorf("signatures: %+v, %v\n%s", verified, err, raw)
	}
}
