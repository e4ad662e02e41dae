//go:build e2e

package e2e

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// pod reads a pod.
func (s *site) pod(t *testing.T, name string) *corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	s.get(t, name, &pod)
	return &pod
}

// mustBeSame fails the test when the pod was replaced or its container restarted.
func (s *site) mustBeSame(t *testing.T, before *corev1.Pod) {
	t.Helper()
	after := s.pod(t, before.Name)
	if after.UID != before.UID {
		t.Errorf("pod %s was replaced", before.Name)
	}
	if restarts(after) != restarts(before) {
		t.Errorf("the container of pod %s restarted", before.Name)
	}
}

// restarts is how often the first container of a pod restarted.
func restarts(pod *corev1.Pod) int32 {
	if len(pod.Status.ContainerStatuses) == 0 {
		return 0
	}
	return pod.Status.ContainerStatuses[0].RestartCount
}

// setSecret changes one key of a Secret.
func (s *site) setSecret(t *testing.T, name, key string, value []byte) {
	t.Helper()
	var secret corev1.Secret
	s.change(t, name, &secret, func() { secret.Data[key] = value })
}
