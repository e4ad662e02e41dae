//go:build e2e

package e2e

import (
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// What the chart's admission policies say when they refuse.
const (
	notItsOwn = "the operator may change and delete no Secret but those that it made"
	unlabeled = "a Secret that the operator writes carries the label"
	noRelay   = "the operator may annotate no pods but those of relays"
	onlyNotes = "the operator may annotate a pod, and change nothing else of it"
)

var ourLabel = map[string]string{resources.ManagedByLabel: resources.ManagedBy}

func TestOperatorMayWriteNoSecretsAndPodsButItsOwn(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "rights")
	relay := newRelay(p)
	s.startRelay(t, p, relay)
	s.startApp(t, "")
	s.get(t, relayName, relay)
	s.create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "lost-its-label", OwnerReferences: []metav1.OwnerReference{
		*metav1.NewControllerRef(relay, v1alpha1.GroupVersion.WithKind("MailRelay")),
	}}})
	o := operator{s, s.asOperator(t)}
	for _, tt := range []struct {
		what string
		err  error
		// refused is empty for what the operator may do.
		refused string
	}{
		{"change a foreign Secret", o.patchSecret(t, "provider", setData), notItsOwn},
		{"label a foreign Secret", o.patchSecret(t, "provider", setLabel), notItsOwn},
		{"delete a foreign Secret", o.deleteSecret(t, "provider"), notItsOwn},
		{"make a Secret without the label", o.createSecret(t, nil), unlabeled},
		{"make a Secret", o.createSecret(t, ourLabel), ""},
		{"change the relay's Secret", o.patchSecret(t, "mail-upstreams", setData), ""},
		{"take the label off the relay's Secret", o.patchSecret(t, "mail-upstreams", removeLabel), unlabeled},
		{"put the label back on the relay's Secret", o.patchSecret(t, "lost-its-label", setLabel), ""},
		{"delete the relay's Secret", o.deleteSecret(t, "mail-upstreams"), ""},
		{"delete what cert-manager wrote for the relay", o.deleteSecret(t, "mail-tls"), ""},
		{"change an app's credentials", o.patchSecret(t, defaultUser, setData), ""},
		{"change its own CA", o.in(operatorNamespace).patchSecret(t, "mailrelay-operator-ca", setData), ""},
		{"annotate a relay's pod", o.patchPod(t, relayPod, setAnnotation), ""},
		{"change a relay pod's status", o.patchPod(t, relayPod, setMessage), onlyNotes},
		{"change a relay pod's labels", o.patchPod(t, relayPod, setPodLabel), onlyNotes},
		{"annotate another pod", o.patchPod(t, "app", setAnnotation), noRelay},
	} {
		switch {
		case tt.refused == "" && tt.err != nil:
			t.Errorf("%s: %v", tt.what, tt.err)
		case tt.refused != "" && (tt.err == nil || !strings.Contains(tt.err.Error(), tt.refused)):
			t.Errorf("%s: %v, want it refused with %q", tt.what, tt.err, tt.refused)
		}
	}
}

func setData(s *corev1.Secret)     { s.StringData = map[string]string{"e2e": "x"} }
func setLabel(s *corev1.Secret)    { s.Labels = maps.Clone(ourLabel) }
func removeLabel(s *corev1.Secret) { delete(s.Labels, resources.ManagedByLabel) }
func setAnnotation(pod *corev1.Pod) {
	pod.Annotations = map[string]string{resources.NudgeAnnotation: "x"}
}
func setMessage(pod *corev1.Pod)  { pod.Status.Message = "all is well" }
func setPodLabel(pod *corev1.Pod) { pod.Labels["e2e"] = "x" }

// operator does what the operator's process could do with its token, as a dry run: admission
// decides on it and nothing is stored.
type operator struct {
	*site
	api client.Client
}

// asOperator is a client with the operator's rights.
func (s *site) asOperator(t *testing.T) client.Client {
	t.Helper()
	config := rest.CopyConfig(s.config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + operatorNamespace + ":mailrelay-operator",
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + operatorNamespace, "system:authenticated"},
	}
	api, err := client.New(config, client.Options{Scheme: s.Scheme(), DryRun: ptr.To(true)})
	if err != nil {
		t.Fatal(err)
	}
	return api
}

func (o operator) in(namespace string) operator {
	return operator{&site{cluster: o.cluster, namespace: namespace}, o.api}
}

func (o operator) patchSecret(t *testing.T, name string, alter func(*corev1.Secret)) error {
	t.Helper()
	var secret corev1.Secret
	o.get(t, name, &secret)
	before := secret.DeepCopy()
	alter(&secret)
	return o.api.Patch(t.Context(), &secret, client.MergeFrom(before))
}

func (o operator) createSecret(t *testing.T, labels map[string]string) error {
	t.Helper()
	return o.api.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: "e2e-new", Labels: labels},
	})
}

func (o operator) deleteSecret(t *testing.T, name string) error {
	t.Helper()
	return o.api.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: name}})
}

// patchPod goes through the status subresource, the only right to pods that there is.
func (o operator) patchPod(t *testing.T, name string, alter func(*corev1.Pod)) error {
	t.Helper()
	pod := o.pod(t, name)
	before := pod.DeepCopy()
	alter(pod)
	return o.api.Status().Patch(t.Context(), pod, client.MergeFrom(before))
}
