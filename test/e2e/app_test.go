//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// bindings is where an app finds the Secret of its RelayUser.
const bindings = "/bindings/mail"

// app is a pod with mail clients. All it knows of a relay is a Secret.
type app struct {
	*site
	pod string
}

// appPod is a pod of the clients' image that waits for commands.
func (s *site) appPod(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken:  ptr.To(false),
			TerminationGracePeriodSeconds: ptr.To[int64](0),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot:   ptr.To(true),
				RunAsUser:      ptr.To[int64](65532),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "app", Image: s.clientsImage, Command: []string{"python3", "-c", runner},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: ptr.To(false),
					ReadOnlyRootFilesystem:   ptr.To(true),
					Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
				// msmtp keeps the message in a file while it sends it.
				VolumeMounts: []corev1.VolumeMount{{Name: "tmp", MountPath: "/tmp"}},
			}},
			Volumes: []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
		},
	}
}

// startApp runs an app. With a Secret it is mounted; without one the app knows nothing.
func (s *site) startApp(t *testing.T, secret string) *app {
	t.Helper()
	pod := s.appPod("app")
	if secret != "" {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "binding", VolumeSource: corev1.VolumeSource{
			Secret: &corev1.SecretVolumeSource{SecretName: secret},
		}})
		container := &pod.Spec.Containers[0]
		container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: "binding", MountPath: bindings})
	}
	return s.startPod(t, pod)
}

func (s *site) startPod(t *testing.T, pod *corev1.Pod) *app {
	t.Helper()
	s.create(t, pod)
	waitFor(t, time.Minute, "pod "+pod.Name+" to run", func(ctx context.Context) (bool, string) {
		err := s.Get(ctx, client.ObjectKeyFromObject(pod), pod)
		return err == nil && pod.Status.Phase == corev1.PodRunning, fmt.Sprintf("%s, error %v", pod.Status.Phase, err)
	})
	a := &app{site: s, pod: pod.Name}
	waitFor(t, time.Minute, "pod "+pod.Name+" to take commands", func(ctx context.Context) (bool, string) {
		_, err := a.run(ctx, "", "true")
		return err == nil, fmt.Sprint(err)
	})
	return a
}

// run runs a command and returns what it wrote.
func (a *app) run(ctx context.Context, stdin string, command ...string) (string, error) {
	var out bytes.Buffer
	err := a.stream(ctx, stdin, &out, command...)
	return out.String(), err
}

// stream runs a command by way of the runner; what it writes comes line by line.
func (a *app) stream(ctx context.Context, stdin string, out io.Writer, command ...string) error {
	job, err := json.Marshal(map[string]any{"command": command, "stdin": stdin})
	if err != nil {
		return err
	}
	answer, err := a.typed.CoreV1().RESTClient().Post().
		Resource("pods").Namespace(a.namespace).Name(a.pod + ":" + runnerPort).SubResource("proxy").
		Body(job).Stream(ctx)
	if err != nil {
		return err
	}
	defer answer.Close()
	lines := bufio.NewScanner(answer)
	for lines.Scan() {
		if status, ended := strings.CutPrefix(lines.Text(), runnerExit); ended {
			if status != "0" {
				return fmt.Errorf("it ended with %s", status)
			}
			return nil
		}
		fmt.Fprintln(out, lines.Text())
	}
	return errors.Join(errors.New("the pod's answer has no end"), lines.Err())
}

// must runs a command that has to succeed within a minute.
func (a *app) must(t *testing.T, stdin string, command ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := a.run(ctx, stdin, command...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", command[0], err, out)
	}
	return out
}

// python runs a program of this suite.
func (a *app) python(t *testing.T, program string, args ...string) string {
	t.Helper()
	return a.must(t, "", append([]string{"python3", "-c", program}, args...)...)
}
