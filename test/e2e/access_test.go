//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

func TestRelayUsersOfOtherNamespacesComeInByRuleOnly(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "access")
	team, stranger := newSite(t, "team"), newSite(t, "stranger")
	relay := newRelay(p)
	relay.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{
		{},
		{Namespaces: &v1alpha1.NamespaceRule{Names: []string{team.namespace}}, Senders: []string{"team.example.com"}},
	}}
	s.startRelay(t, p, relay)

	for _, other := range []*site{team, stranger} {
		other.create(t, &v1alpha1.RelayUser{
			ObjectMeta: metav1.ObjectMeta{Name: "app"},
			Spec:       v1alpha1.RelayUserSpec{RelayRef: v1alpha1.RelayReference{Name: relayName, Namespace: s.namespace}},
		})
	}
	team.waitCondition(t, "app", &v1alpha1.RelayUser{}, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
	refused := stranger.waitCondition(t, "app", &v1alpha1.RelayUser{}, v1alpha1.ConditionReady, metav1.ConditionFalse, "NotLetIn")
	if !strings.Contains(refused.Message, stranger.namespace) || !strings.Contains(refused.Message, "spec.access.rules") {
		t.Errorf("the condition does not say what to change: %s", refused.Message)
	}
	stranger.mustHaveNoSecret(t, "app")

	a := team.startApp(t, "app")
	subject := s.namespace + " from a team"
	a.python(t, sendOne, "starttls", "shop@team.example.com", recipient, subject)
	out, err := a.run(t.Context(), "", "python3", "-c", sendOne, "implicit", sender, recipient, s.namespace+" from nobody")
	if err == nil || !strings.Contains(out, "550") || !strings.Contains(out, "5.7.1") {
		t.Errorf("a sender that is not granted: error %v, want 550 5.7.1 in\n%s", err, out)
	}
	p.waitForMail(t, 30*time.Second, s.namespace, []string{subject})
}

func (s *site) mustHaveNoSecret(t *testing.T, name string) {
	t.Helper()
	err := s.Get(context.Background(), client.ObjectKey{Namespace: s.namespace, Name: name}, &corev1.Secret{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("Secret %s: %v, want it not to exist", name, err)
	}
}
