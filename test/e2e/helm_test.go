//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Both use the same names, so one comes after the other.
func TestHelmTest(t *testing.T) {
	t.Parallel()
	s := &site{cluster: &shared, namespace: operatorNamespace}
	t.Run("passes, says what it did, and leaves nothing", func(t *testing.T) {
		out, err := s.helmTest(t)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		mustContain(t, out, "submitted over port 465 (implicit TLS)", "submitted over port 587 (STARTTLS)",
			"arrived at the sink: what was submitted over implicit TLS", "arrived at the sink: what was submitted over STARTTLS")
		s.waitNoTestObjects(t)
	})
	t.Run("fails when nothing arrives, and says what to look at", func(t *testing.T) {
		s.create(t, closedSink)
		t.Cleanup(func() {
			for _, object := range []client.Object{closedSink, testPod} {
				if err := s.Delete(context.Background(), object); err != nil {
					t.Error(err)
				}
			}
		})
		out, err := s.helmTest(t)
		if err == nil {
			t.Fatalf("it passed although nothing can arrive:\n%s", out)
		}
		mustContain(t, out, "submitted over port 465", "FAILED: 2 of 2 messages did not come out of the relay",
			"MailRelay mailrelay-test: UpstreamReady=False", "logs deployment/mailrelay-operator")
	})
}

// testPod stays when the test has failed, for its log.
var testPod = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "mailrelay-selftest"}}

// closedSink lets nobody reach the sink of the test.
var closedSink = &networkingv1.NetworkPolicy{
	ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "e2e-closed-sink"},
	Spec: networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": "mailrelay-selftest"}},
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
	},
}

// helmTest runs "helm test" as a user would, and returns all that it printed.
func (s *site) helmTest(t *testing.T) (string, error) {
	t.Helper()
	args := []string{"test", "mailrelay", "--namespace", operatorNamespace}
	if s.kubeconfig != "" {
		args = append(args, "--kubeconfig", s.kubeconfig)
	} else {
		args = append(args, "--kube-context", s.kubeContext)
	}
	out, err := exec.CommandContext(t.Context(), "../../bin/helm", args...).CombinedOutput()
	return string(out), err
}

func mustContain(t *testing.T, out string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
}

// waitNoTestObjects waits until what the test made is gone.
func (s *site) waitNoTestObjects(t *testing.T) {
	t.Helper()
	waitFor(t, time.Minute, "the objects of helm test to be gone", func(ctx context.Context) (bool, string) {
		found, err := s.inventory(ctx)
		var left []string
		for name := range found {
			if strings.Contains(name, "mailrelay-test") || strings.Contains(name, "mailrelay-selftest") {
				left = append(left, name)
			}
		}
		slices.Sort(left)
		return err == nil && len(left) == 0, fmt.Sprint(left, err)
	})
}
