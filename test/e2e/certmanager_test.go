//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// withoutCertManager is how long the operator has to do without cert-manager.
const withoutCertManager = 40 * time.Second

// It takes cert-manager away from the whole cluster, so it is not parallel: Go runs it before
// the tests that are.
func TestRelayGetsReadyByItselfWhenCertManagerComesAfterTheOperator(t *testing.T) {
	if shared.kubeconfig == "" {
		t.Skip("only on the cluster of hack/cluster can cert-manager be removed: \"make e2e\" without CONTEXT runs this test")
	}
	t.Cleanup(func() { certManager(t, "install") })
	certManager(t, "remove")
	operator := restartOperator(t)
	started := time.Now()

	s := newSite(t, "nocertmanager")
	s.create(t, &v1alpha1.MailRelay{
		ObjectMeta: metav1.ObjectMeta{Name: relayName},
		Spec: v1alpha1.MailRelaySpec{
			Upstreams: []v1alpha1.Upstream{{Name: "none", Host: "smtp.example.com", Port: 465}},
			Message:   v1alpha1.MessagePolicy{SenderDomains: []string{"example.com"}},
		},
	})
	missing := s.waitCondition(t, relayName, &v1alpha1.MailRelay{},
		v1alpha1.ConditionReady, metav1.ConditionFalse, "CertManagerMissing")
	if !strings.Contains(missing.Message, "install cert-manager with its CRDs") {
		t.Errorf("the condition does not say what to install: %s", missing.Message)
	}
	time.Sleep(withoutCertManager - time.Since(started))
	operator.mustBeSame(t, operator.pod(t, operator.name))

	certManager(t, "install")
	// There is no mail server at its upstream.
	s.waitCondition(t, relayName, &v1alpha1.MailRelay{}, v1alpha1.ConditionWorkloadAvailable, metav1.ConditionTrue, "")
	s.waitCondition(t, defaultUser, &v1alpha1.RelayUser{}, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
	operator.mustBeSame(t, operator.before)
}

// certManager installs cert-manager on the cluster of hack/cluster or removes it.
func certManager(t *testing.T, action string) {
	t.Helper()
	out, err := exec.Command("go", "-C", "../../hack/cluster", "run", ".", "cert-manager", action).CombinedOutput()
	if err != nil {
		t.Fatalf("cert-manager %s: %v\n%s", action, err, out)
	}
}

// operatorPod is the pod of the operator, as it was when it had just started.
type operatorPod struct {
	*site
	name   string
	before *corev1.Pod
}

// restartOperator lets the operator start anew, and returns when it is ready.
func restartOperator(t *testing.T) operatorPod {
	t.Helper()
	s := &site{cluster: &shared, namespace: operatorNamespace}
	ours := []client.ListOption{client.InNamespace(s.namespace), client.MatchingLabels{"app.kubernetes.io/name": "mailrelay-operator"}}
	old := map[string]bool{}
	var pods corev1.PodList
	if err := s.List(t.Context(), &pods, ours...); err != nil {
		t.Fatal(err)
	}
	for i := range pods.Items {
		old[pods.Items[i].Name] = true
		if err := s.Delete(t.Context(), &pods.Items[i]); err != nil {
			t.Fatal(err)
		}
	}
	var fresh *corev1.Pod
	waitFor(t, 2*time.Minute, "a new pod of the operator", func(ctx context.Context) (bool, string) {
		if err := s.List(ctx, &pods, ours...); err != nil {
			return false, err.Error()
		}
		for i := range pods.Items {
			fresh = &pods.Items[i]
			if statuses := fresh.Status.ContainerStatuses; !old[fresh.Name] && len(statuses) == 1 && statuses[0].Ready {
				return true, ""
			}
		}
		return false, fmt.Sprintf("%d pods", len(pods.Items))
	})
	return operatorPod{site: s, name: fresh.Name, before: fresh}
}
