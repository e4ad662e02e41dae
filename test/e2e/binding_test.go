//go:build e2e

package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// TestAppsBindByTheSpecification is a binder and an app that know of MailRelay only what the
// Service Binding Specification for Kubernetes 1.1 says of any service.
func TestAppsBindByTheSpecification(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "binding")
	s.startRelay(t, p, newRelay(p))
	// The workload's half of a ServiceBinding: which service it wants, and the name of the binding.
	service := s.relayUserNamed(t, "orders")
	binding := "outgoing-mail"

	b := s.newBinder(t)
	secret := b.secretOf(t, service)
	mustFollowTheSpecification(t, secret)

	a := s.startBound(t, binding, secret.Name)
	subject := s.namespace + " bound"
	a.python(t, boundApp, sender, recipient, subject)
	p.waitForMail(t, readyLimit, s.namespace, []string{subject})
}

// relayUserNamed makes a RelayUser and waits until it is ready; what is returned says no more
// of it than a reference in a ServiceBinding does.
func (s *site) relayUserNamed(t *testing.T, name string) corev1.TypedLocalObjectReference {
	t.Helper()
	s.create(t, &v1alpha1.RelayUser{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.RelayUserSpec{RelayRef: v1alpha1.RelayReference{Name: relayName}, SecretName: "mail-of-" + name},
	})
	s.waitCondition(t, name, &v1alpha1.RelayUser{}, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
	group := v1alpha1.GroupVersion.Group
	return corev1.TypedLocalObjectReference{APIGroup: &group, Kind: "RelayUser", Name: name}
}

// binder has the rights that ClusterRoles for service binding controllers give, and no others.
type binder struct {
	*site
	api client.Client
}

// newBinder gives a user the roles that the specification's label aggregates.
func (s *site) newBinder(t *testing.T) *binder {
	t.Helper()
	var roles rbacv1.ClusterRoleList
	if err := s.List(t.Context(), &roles, client.MatchingLabels{"servicebinding.io/controller": "true"}); err != nil {
		t.Fatal(err)
	}
	user := "e2e-binder@" + s.namespace
	for i := range roles.Items {
		s.bind(t, user, roles.Items[i].Name)
	}
	api, err := client.New(impersonating(s.config, user), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &binder{s, api}
}

// provisioned is the version in which a kind is served as a Provisioned Service, by the label
// of its CustomResourceDefinition.
func (b *binder) provisioned(t *testing.T, group, kind string) schema.GroupVersionKind {
	t.Helper()
	crds := &unstructured.UnstructuredList{}
	crds.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinitionList"})
	if err := b.List(t.Context(), crds, client.MatchingLabels{"servicebinding.io/provisioned-service": "true"}); err != nil {
		t.Fatal(err)
	}
	for i := range crds.Items {
		crd := crds.Items[i].Object
		g, _, _ := unstructured.NestedString(crd, "spec", "group")
		k, _, _ := unstructured.NestedString(crd, "spec", "names", "kind")
		versions, _, _ := unstructured.NestedSlice(crd, "spec", "versions")
		for _, version := range versions {
			v := version.(map[string]any)
			if g == group && k == kind && v["served"] == true {
				return schema.GroupVersionKind{Group: g, Version: v["name"].(string), Kind: k}
			}
		}
	}
	t.Fatalf("no CustomResourceDefinition says that %s of %s are provisioned services", kind, group)
	return schema.GroupVersionKind{}
}

// secretOf follows status.binding.name. The binder may list and watch what it binds, as it has to.
func (b *binder) secretOf(t *testing.T, service corev1.TypedLocalObjectReference) *corev1.Secret {
	t.Helper()
	kind := b.provisioned(t, *service.APIGroup, service.Kind)
	for _, verb := range strings.Fields(reading) {
		if !b.may(t, "e2e-binder@"+b.namespace, b.namespace, verb, "relayusers."+kind.Group) {
			t.Errorf("a service binding controller may not %s relayusers", verb)
		}
	}
	duck := &unstructured.Unstructured{}
	duck.SetGroupVersionKind(kind)
	if err := b.api.Get(t.Context(), client.ObjectKey{Namespace: b.namespace, Name: service.Name}, duck); err != nil {
		t.Fatalf("a service binding controller reads the service: %v", err)
	}
	name, found, err := unstructured.NestedString(duck.Object, "status", "binding", "name")
	if !found || err != nil {
		t.Fatalf("status.binding.name is %q, %v", name, err)
	}
	var secret corev1.Secret
	b.get(t, name, &secret)
	return &secret
}

var (
	entryName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,253}$`)
	typeValue = regexp.MustCompile(`^[a-z0-9.-]{1,253}$`)
)

// mustFollowTheSpecification checks a Secret against "Provisioned Service" and "Well-known
// Secret Entries".
func mustFollowTheSpecification(t *testing.T, secret *corev1.Secret) {
	t.Helper()
	kind := string(secret.Data["type"])
	if !typeValue.MatchString(kind) || secret.Type != corev1.SecretType("servicebinding.io/"+kind) || kind != "smtp" {
		t.Errorf("Secret of type %s has the entry type %q", secret.Type, kind)
	}
	for name := range secret.Data {
		if !entryName.MatchString(name) {
			t.Errorf("%q is no name of an entry", name)
		}
	}
	for _, name := range strings.Fields("provider host port uri username password certificates") {
		if len(secret.Data[name]) == 0 {
			t.Errorf("entry %s is missing", name)
		}
	}
	if uri, want := string(secret.Data["uri"]), fmt.Sprintf("smtps://%s:%s", secret.Data["host"], secret.Data["port"]); uri != want {
		t.Errorf("uri is %q, host and port make %q", uri, want)
	}
}

// startBound runs an app with a Secret projected as a binding: $SERVICE_BINDING_ROOT/<name>/.
func (s *site) startBound(t *testing.T, binding, secret string) *app {
	t.Helper()
	pod := s.appPod("bound")
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "binding", VolumeSource: corev1.VolumeSource{
		Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{
			Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: secret}},
		}}},
	}})
	container := &pod.Spec.Containers[0]
	container.Env = []corev1.EnvVar{{Name: "SERVICE_BINDING_ROOT", Value: "/platform/bindings"}}
	container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: "binding", MountPath: "/platform/bindings/" + binding})
	return s.startPod(t, pod)
}

// boundApp sends one message through whatever binding is of type smtp: sender, recipient, subject.
const boundApp = `
import os, pathlib, smtplib, ssl, sys, urllib.parse
sender, recipient, subject = sys.argv[1:]
for binding in pathlib.Path(os.environ["SERVICE_BINDING_ROOT"]).iterdir():
    entry = lambda name: (binding / name).read_text()
    if entry("type") == "smtp":
        break
else:
    sys.exit("no binding is of type smtp")
uri = urllib.parse.urlsplit(entry("uri"))
if uri.scheme != "smtps" or uri.username or uri.password:
    sys.exit("the uri is " + uri.geturl())
if (uri.hostname, uri.port) != (entry("host"), int(entry("port"))):
    sys.exit("the uri has another host or port")
context = ssl.create_default_context(cadata=entry("certificates"))
client = smtplib.SMTP_SSL(entry("host"), int(entry("port")), context=context, timeout=20)
client.login(entry("username"), entry("password"))
client.sendmail(sender, [recipient], f"From: {sender}\r\nTo: {recipient}\r\nSubject: {subject}\r\n\r\nHello.\r\n")
client.quit()
`
