//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

const (
	passwordless  = "../../docs/samples/passwordless/"
	sampleSubject = "Sent without a password"
)

// TestAppsGoWithoutPasswords runs the samples as they are, and then tries what must not work.
func TestAppsGoWithoutPasswords(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "passwordless")
	inGo, inPython := newSite(t, "go"), newSite(t, "python")
	relay := newRelay(p)
	relay.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{
		{},
		{Namespaces: &v1alpha1.NamespaceRule{Names: []string{inGo.namespace, inPython.namespace}}, Senders: []string{"shop.example.com"}},
	}}
	s.startRelay(t, p, relay)

	program, err := os.ReadFile(passwordless + "python/send.py")
	if err != nil {
		t.Fatal(err)
	}
	inPython.create(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "send"}, Data: map[string]string{"send.py": string(program)}})
	inGo.applySample(t, s, passwordless+"go/app.yaml", "registry.example.com/shop/passwordless:1", s.passwordlessImage)
	inPython.applySample(t, s, passwordless+"python/app.yaml", "python:3.13-slim", s.clientsImage)
	var sent []string
	for _, app := range []*site{inGo, inPython} {
		app.waitCondition(t, "checkout", &v1alpha1.RelayUser{}, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
		app.waitJob(t, "checkout")
		sent = append(sent, s.namespace+" "+app.namespace)
	}
	p.waitForMail(t, 30*time.Second, s.namespace, sent)

	a := inGo.startTokenApp(t, "mailrelay.dev/"+s.namespace+"/"+relayName)
	a.mustRefuseOtherTokens(t, s, inPython)
	a.mustBeShutOut(t)
}

// applySample makes the objects of a sample for the relay of another site, with an image that
// is here and a subject that is found again.
func (s *site) applySample(t *testing.T, relay *site, file, image, present string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for _, change := range [][2]string{
		{image, present},
		{sampleSubject, relay.namespace + " " + s.namespace},
		{"namespace: mail\n", "namespace: " + relay.namespace + "\n"},
		{"mailrelay.dev/mail/mail", "mailrelay.dev/" + relay.namespace + "/" + relayName},
	} {
		if strings.Count(text, change[0]) != 1 {
			t.Fatalf("%s has %q not just once", file, change[0])
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		object.SetNamespace(s.namespace)
		s.create(t, object)
	}
}

func (s *site) waitJob(t *testing.T, name string) {
	t.Helper()
	waitFor(t, time.Minute, "Job "+name+" to succeed", func(ctx context.Context) (bool, string) {
		job := &batchv1.Job{}
		err := s.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, job)
		return err == nil && job.Status.Succeeded == 1, fmt.Sprintf("%+v, error %v", job.Status, err)
	})
}

// startTokenApp runs an app as the service account of the sample.
func (s *site) startTokenApp(t *testing.T, audience string) *app {
	t.Helper()
	pod := s.appPod("app")
	pod.Spec.ServiceAccountName = "checkout"
	pod.Spec.Volumes = append(pod.Spec.Volumes,
		corev1.Volume{Name: "binding", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "checkout"}}},
		corev1.Volume{Name: "token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: audience, Path: "token"}},
		}}}})
	container := &pod.Spec.Containers[0]
	container.VolumeMounts = append(container.VolumeMounts,
		corev1.VolumeMount{Name: "binding", MountPath: bindings}, corev1.VolumeMount{Name: "token", MountPath: tokens})
	return s.startPod(t, pod)
}

// mustRefuseOtherTokens logs in with the token of the pod by each mechanism on each port, and
// then with tokens that are others'.
func (a *app) mustRefuseOtherTokens(t *testing.T, relay, stranger *site) {
	t.Helper()
	audience := "mailrelay.dev/" + relay.namespace + "/" + relayName
	used.learn(a.must(t, "", "cat", tokens+"/token"), "token of the pod in "+a.namespace, true)
	for _, tt := range []struct{ name, token, want string }{
		{"the pod's own", "", "235 "},
		{"for the API server", a.token(t, "checkout", ""), "535 "},
		{"for another relay", a.token(t, "checkout", audience+"2"), "535 "},
		{"of another service account", a.token(t, "default", audience), "535 "},
		{"of a service account of that name elsewhere", stranger.token(t, "checkout", audience), "535 "},
	} {
		for _, mode := range []string{"implicit", "starttls"} {
			for _, mechanism := range []string{"OAUTHBEARER", "XOAUTH2"} {
				if got := a.python(t, tokenLogin, mode, mechanism, tt.token); !strings.HasPrefix(got, tt.want) {
					t.Errorf("a token %s, %s, %s: %s", tt.name, mode, mechanism, got)
				}
			}
		}
	}
}

// token asks the API server for one, as a kubelet does.
func (s *site) token(t *testing.T, account, audience string) string {
	t.Helper()
	request := &authenticationv1.TokenRequest{}
	if audience != "" {
		request.Spec.Audiences = []string{audience}
	}
	answer, err := s.typed.CoreV1().ServiceAccounts(s.namespace).CreateToken(t.Context(), account, request, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("a token of %s: %v", account, err)
	}
	used.learn(answer.Status.Token, "token of "+s.namespace+"/"+account, true)
	return answer.Status.Token
}

// mustBeShutOut deletes the RelayUser while a session of it is open.
func (a *app) mustBeShutOut(t *testing.T) {
	t.Helper()
	reader, writer := io.Pipe()
	go func() {
		writer.CloseWithError(a.stream(t.Context(), "", writer, "python3", "-c", tokenSession))
	}()
	lines := bufio.NewScanner(reader)
	if !lines.Scan() || lines.Text() != "logged in" {
		t.Fatalf("the session: %s, %v", lines.Text(), lines.Err())
	}
	user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: "checkout"}}
	if err := a.Delete(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	deleted := time.Now()
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "421 ") {
		t.Errorf("the session ended with %q, %v", lines.Text(), lines.Err())
	}
	if lasted := time.Since(deleted); lasted > 5*time.Second {
		t.Errorf("the session lasted for %s after its user was gone", lasted)
	} else {
		t.Logf("the session lasted for %s after its user was gone", lasted)
	}
	if got := a.python(t, tokenLogin, "implicit", "OAUTHBEARER", ""); !strings.HasPrefix(got, "535 ") {
		t.Errorf("a login of the user who is gone: %s", got)
	}
}
