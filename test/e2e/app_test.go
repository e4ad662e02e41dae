//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
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
				Name: "app", Image: s.clientsImage, Args: []string{"-c", "sleep 3600"},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: ptr.To(false),
					ReadOnlyRootFilesystem:   ptr.To(true),
					Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
}

// startApp runs an app. With a Secret it is mounted; without one the app knows nothing.
func (s *site) startApp(t *testing.T, secret string) *app {
	t.Helper()
	pod := s.appPod("app")
	if secret != "" {
		pod.Spec.Volumes = []corev1.Volume{{Name: "binding", VolumeSource: corev1.VolumeSource{
			Secret: &corev1.SecretVolumeSource{SecretName: secret},
		}}}
		pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "binding", MountPath: bindings}}
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
	return &app{site: s, pod: pod.Name}
}

// run runs a command and returns what it wrote.
func (a *app) run(ctx context.Context, stdin string, command ...string) (string, error) {
	var out bytes.Buffer
	err := a.stream(ctx, strings.NewReader(stdin), &out, command...)
	return out.String(), err
}

// stream runs a command; what it writes comes as it is written.
func (a *app) stream(ctx context.Context, stdin io.Reader, out io.Writer, command ...string) error {
	request := a.typed.CoreV1().RESTClient().Post().
		Resource("pods").Namespace(a.namespace).Name(a.pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Command: command, Stdin: true, Stdout: true, Stderr: true,
		}, scheme.ParameterCodec)
	executor, err := remotecommand.NewWebSocketExecutor(a.config, "GET", request.URL().String())
	if err != nil {
		return err
	}
	return executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: stdin, Stdout: out, Stderr: out})
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
