//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// provider is Mailpit, which stands in for a mail provider.
type provider struct {
	*site
	password string
	ca       []byte
}

// common is the provider of all tests that leave it as it is. TestMain ends it.
var common struct {
	sync.Mutex
	*provider
}

// commonProvider is ready to take mail.
func commonProvider(t *testing.T) *provider {
	t.Helper()
	common.Lock()
	defer common.Unlock()
	if common.provider == nil {
		s := &site{cluster: &shared, namespace: "e2e-provider-" + strings.ToLower(rand.Text()[:5])}
		s.create(t, namespaceNamed(s.namespace))
		common.provider = newProvider(t, s)
	}
	return common.provider
}

// secondLogin is a user beside "relay" whom the provider takes mail from, with the same password.
const secondLogin = "second"

// newProvider starts Mailpit in a namespace.
func newProvider(t *testing.T, s *site) *provider {
	t.Helper()
	p := &provider{site: s, password: rand.Text()}
	s.secret(t, "mailpit-users", map[string][]byte{"users": []byte("relay:" + p.password + "\n" + secondLogin + ":" + p.password)})
	for _, object := range p.manifests(t) {
		s.create(t, object)
	}
	var ca corev1.Secret
	waitFor(t, time.Minute, "the provider's CA", func(ctx context.Context) (bool, string) {
		err := s.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: "provider-ca"}, &ca)
		return err == nil && len(ca.Data[corev1.TLSCertKey]) > 0, fmt.Sprint(err)
	})
	p.ca = ca.Data[corev1.TLSCertKey]
	p.waitReplicas(t, 1)
	return p
}

// host is the name in the provider's certificate.
func (p *provider) host() string { return "mailpit." + p.namespace + ".svc.cluster.local" }

// podIP is where connections to the provider end, which is what policies go by.
func (p *provider) podIP(t *testing.T) string {
	t.Helper()
	var pods corev1.PodList
	if err := p.List(t.Context(), &pods, client.InNamespace(p.namespace), client.MatchingLabels{"app": "mailpit"}); err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) != 1 {
		t.Fatalf("the provider has %d pods, want 1", len(pods.Items))
	}
	return pods.Items[0].Status.PodIP
}

// manifests are those of the demo, for this namespace.
func (p *provider) manifests(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile("../manifests/mailpit.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte("MAILPIT_IMAGE"), []byte(p.mailpitImage))
	text = bytes.ReplaceAll(text, []byte("mailpit.mail-provider.svc.cluster.local"), []byte(p.host()))
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	var objects []*unstructured.Unstructured
	for {
		var object unstructured.Unstructured
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, &object)
	}
}

// scale starts the provider or ends it, with all mail it has.
func (p *provider) scale(t *testing.T, replicas int32) {
	t.Helper()
	var deployment appsv1.Deployment
	p.change(t, "mailpit", &deployment, func() { deployment.Spec.Replicas = &replicas })
	p.waitReplicas(t, replicas)
}

func (p *provider) waitReplicas(t *testing.T, replicas int32) {
	t.Helper()
	waitFor(t, 2*time.Minute, fmt.Sprintf("%d pods of Mailpit", replicas), func(ctx context.Context) (bool, string) {
		var deployment appsv1.Deployment
		var pods corev1.PodList
		err := errors.Join(
			p.Get(ctx, client.ObjectKey{Namespace: p.namespace, Name: "mailpit"}, &deployment),
			p.List(ctx, &pods, client.InNamespace(p.namespace), client.MatchingLabels{"app": "mailpit"}))
		ready := deployment.Status.ReadyReplicas
		return err == nil && ready == replicas && len(pods.Items) == int(replicas),
			fmt.Sprintf("%d ready of %d pods, error %v", ready, len(pods.Items), err)
	})
}

// arrived is a message in Mailpit.
type arrived struct {
	ID, Subject, Text string
	// Username is as whom the relay had logged in.
	Username string
}

// messages are the mail that has arrived, without its text; only that whose subject starts
// with prefix, since tests share a provider.
func (p *provider) messages(ctx context.Context, prefix string) ([]arrived, error) {
	var inbox struct {
		Messages []arrived `json:"messages"`
	}
	if err := p.ask(ctx, "messages", &inbox); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(inbox.Messages, func(m arrived) bool { return !strings.HasPrefix(m.Subject, prefix) }), nil
}

// subjects are those of the mail that has arrived, sorted.
func (p *provider) subjects(ctx context.Context, prefix string) ([]string, error) {
	messages, err := p.messages(ctx, prefix)
	var subjects []string
	for _, m := range messages {
		subjects = append(subjects, m.Subject)
	}
	slices.Sort(subjects)
	return subjects, err
}

// texts are those of the mail that has arrived, by subject, without empty lines at the end.
func (p *provider) texts(t *testing.T, prefix string) map[string]string {
	t.Helper()
	messages, err := p.messages(t.Context(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, m := range messages {
		if err := p.ask(t.Context(), "message/"+m.ID, &m); err != nil {
			t.Fatal(err)
		}
		texts[m.Subject] = strings.TrimRight(strings.ReplaceAll(m.Text, "\r\n", "\n"), "\n")
	}
	return texts
}

// ask asks Mailpit's API.
func (p *provider) ask(ctx context.Context, path string, answer any) error {
	return p.askFor(ctx, path, 5000, answer)
}

// askFor asks Mailpit's API for so many things at most.
func (p *provider) askFor(ctx context.Context, path string, limit int, answer any) error {
	raw, err := p.typed.CoreV1().Services(p.namespace).
		ProxyGet("http", "mailpit", "8025", "/api/v1/"+path, map[string]string{"limit": strconv.Itoa(limit)}).DoRaw(ctx)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return fmt.Errorf("reading Mailpit's answer: %w", err)
	}
	return nil
}

// waitForMail waits until exactly the mail with these subjects, which all start with prefix,
// has arrived.
func (p *provider) waitForMail(t *testing.T, limit time.Duration, prefix string, want []string) {
	t.Helper()
	want = slices.Sorted(slices.Values(want))
	waitFor(t, limit, fmt.Sprintf("%d messages to arrive", len(want)), func(ctx context.Context) (bool, string) {
		got, err := p.subjects(ctx, prefix)
		if err != nil || len(got) < len(want) {
			return false, fmt.Sprintf("%d arrived, error %v", len(got), err)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("arrived: %q\nsent: %q", got, want)
		}
		return true, ""
	})
}
