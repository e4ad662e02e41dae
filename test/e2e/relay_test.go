//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// The names of what each test's relay is made of.
const (
	relayName   = "mail"
	defaultUser = relayName + "-default"
	relayPod    = relayName + "-0"
	sender      = "orders@example.com"
	recipient   = "bob@example.net"
)

// readyLimit is how long a relay may take: a volume, two certificates and a pod.
const readyLimit = 3 * time.Minute

// newRelay is a MailRelay that delivers to the provider and tries again soon.
func newRelay(p *provider) *v1alpha1.MailRelay {
	second := &metav1.Duration{Duration: time.Second}
	return &v1alpha1.MailRelay{
		ObjectMeta: metav1.ObjectMeta{Name: relayName},
		Spec: v1alpha1.MailRelaySpec{
			Upstreams: []v1alpha1.Upstream{p.upstream("mailpit")},
			Queue:     v1alpha1.Queue{Retry: v1alpha1.Retry{Initial: second, Max: second}},
			Message:   v1alpha1.MessagePolicy{SenderDomains: []string{"example.com"}},
		},
	}
}

// upstream is the provider as a relay sees it.
func (p *provider) upstream(name string) v1alpha1.Upstream {
	return v1alpha1.Upstream{
		Name: name, Host: p.host(), Port: 1465, TLS: v1alpha1.UpstreamTLSImplicit,
		Auth:        &v1alpha1.UpstreamAuth{SecretRef: &v1alpha1.LocalSecretReference{Name: "provider"}},
		CASecretRef: &v1alpha1.LocalSecretReference{Name: "provider-ca"},
	}
}

// upstreamSecrets makes what the upstream refers to.
func (s *site) upstreamSecrets(t *testing.T, p *provider) {
	t.Helper()
	s.secret(t, "provider", map[string][]byte{"username": []byte("relay"), "password": []byte(p.password)})
	s.secret(t, "provider-ca", map[string][]byte{"ca.crt": p.ca})
}

// startRelay makes a relay with the Secrets of its upstream and waits until apps can use it.
func (s *site) startRelay(t *testing.T, p *provider, relay *v1alpha1.MailRelay) {
	t.Helper()
	s.upstreamSecrets(t, p)
	s.create(t, relay)
	s.waitReady(t)
}

// waitReady waits until apps can use the relay with its default user.
func (s *site) waitReady(t *testing.T) {
	t.Helper()
	s.waitCondition(t, relayName, &v1alpha1.MailRelay{}, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
	s.waitCondition(t, defaultUser, &v1alpha1.RelayUser{}, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
}

// waitCondition waits until a MailRelay or RelayUser has the condition for its present
// generation, with the reason unless that is empty, and returns the condition.
func (s *site) waitCondition(t *testing.T, name string, object client.Object, kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
	t.Helper()
	var found metav1.Condition
	what := fmt.Sprintf("%T %s to be %s=%s %s", object, name, kind, status, reason)
	waitFor(t, readyLimit, what, func(ctx context.Context) (bool, string) {
		if err := s.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, object); err != nil {
			return false, err.Error()
		}
		c := meta.FindStatusCondition(conditions(object), kind)
		if c == nil {
			return false, "there is no such condition"
		}
		found = *c
		ok := c.Status == status && c.ObservedGeneration == object.GetGeneration() && (reason == "" || c.Reason == reason)
		return ok, fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
	})
	return found
}

func conditions(object client.Object) []metav1.Condition {
	switch o := object.(type) {
	case *v1alpha1.MailRelay:
		return o.Status.Conditions
	case *v1alpha1.RelayUser:
		return o.Status.Conditions
	default:
		return nil
	}
}

// namespaceNamed is a namespace that enforces Pod Security "restricted".
func namespaceNamed(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name:   name,
		Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
}
