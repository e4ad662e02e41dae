//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// operatorNamespace is where hack/install.sh installs the operator.
const operatorNamespace = "mailrelay-system"

// describe tells what went on in a namespace: conditions, pods, events and logs, the
// operator's included. Secrets stay out of it.
func describe(c *cluster, namespace string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var b strings.Builder
	var relays v1alpha1.MailRelayList
	var users v1alpha1.RelayUserList
	var events corev1.EventList
	for _, list := range []client.ObjectList{&relays, &users, &events} {
		if err := c.List(ctx, list, client.InNamespace(namespace)); err != nil {
			fmt.Fprintln(&b, err)
		}
	}
	for i := range relays.Items {
		describeConditions(&b, "MailRelay", relays.Items[i].Name, relays.Items[i].Status.Conditions)
	}
	for i := range users.Items {
		describeConditions(&b, "RelayUser", users.Items[i].Name, users.Items[i].Status.Conditions)
	}
	for _, e := range events.Items {
		seen := e.LastTimestamp.Time
		if seen.IsZero() {
			seen = e.EventTime.Time
		}
		fmt.Fprintf(&b, "event %s %s/%s %s: %s\n", seen.Format(time.TimeOnly), e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Reason, e.Message)
	}
	describePods(ctx, c, &b, namespace)
	describePods(ctx, c, &b, operatorNamespace)
	return b.String()
}

func describeConditions(b *strings.Builder, kind, name string, conditions []metav1.Condition) {
	for _, c := range conditions {
		fmt.Fprintf(b, "%s %s %s=%s %s: %s\n", kind, name, c.Type, c.Status, c.Reason, c.Message)
	}
}

func describePods(ctx context.Context, c *cluster, b *strings.Builder, namespace string) {
	var pods corev1.PodList
	if err := c.List(ctx, &pods, client.InNamespace(namespace)); err != nil {
		fmt.Fprintln(b, err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		fmt.Fprintf(b, "\npod %s/%s %s on %q\n", namespace, pod.Name, pod.Status.Phase, pod.Status.PodIP)
		for _, container := range pod.Spec.Containers {
			lines := int64(300)
			log, err := c.typed.CoreV1().Pods(namespace).GetLogs(pod.Name,
				&corev1.PodLogOptions{Container: container.Name, TailLines: &lines}).DoRaw(ctx)
			fmt.Fprintf(b, "log of %s: %v\n%s\n", container.Name, err, log)
		}
	}
}
