//go:build e2e

package e2e

import (
	"maps"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
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
	badType   = "the operator may make no Secrets but those of the types"
	noRelay   = "the operator may annotate no pods but those of relays"
	onlyNotes = "the operator may set one annotation of a pod, and change nothing else of it"
	noToken   = "pods that the operator runs get no token"
	noNode    = "pods that the operator runs are not root and reach nothing of their node"
)

var ourLabel = map[string]string{resources.ManagedByLabel: resources.ManagedBy}

func TestOperatorMayDoNoMoreThanItNeeds(t *testing.T) {
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
	mustBeDecided(t, []attempt{
		{"change a foreign Secret", o.patchSecret(t, "provider", setData), notItsOwn},
		{"label a foreign Secret", o.patchSecret(t, "provider", setLabel), notItsOwn},
		{"delete a foreign Secret", o.deleteSecret(t, "provider"), notItsOwn},
		{"make a Secret without the label", o.createSecret(t, nil, corev1.SecretTypeOpaque), unlabeled},
		{"make a Secret", o.createSecret(t, ourLabel, corev1.SecretTypeOpaque), ""},
		{"make a Secret of no type", o.createSecret(t, ourLabel, ""), ""},
		{"make an app's credentials", o.createSecret(t, ourLabel, v1alpha1.SecretTypeSMTP), ""},
		{"make a service account's token", o.createSecret(t, ourLabel, corev1.SecretTypeServiceAccountToken), badType},
		{"make a token of the system", o.in("kube-system").createSecret(t, ourLabel, corev1.SecretTypeServiceAccountToken), badType},
		{"make a token that joins nodes", o.in("kube-system").createSecret(t, ourLabel, corev1.SecretTypeBootstrapToken), badType},
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
		{"change another annotation of a relay's pod", o.patchPod(t, relayPod, setOtherAnnotation), onlyNotes},
		{"hold a relay's pod", o.patchPod(t, relayPod, setFinalizer), onlyNotes},
		{"annotate another pod", o.patchPod(t, "app", setAnnotation), noRelay},
		{"run the relay", o.patchWorkload(t, setReplicas), ""},
		{"mount a token", o.patchWorkload(t, setToken), noToken},
		{"project a token", o.patchWorkload(t, setProjected), noToken},
		{"mount a directory of the node", o.patchWorkload(t, setHostPath), noNode},
		{"see the processes of the node", o.patchWorkload(t, setHostPID), noNode},
		{"be root", o.patchWorkload(t, setRoot), noNode},
		{"be privileged", o.patchWorkload(t, setPrivileged), noNode},
	})
}

// attempt is something that the operator's process could try.
type attempt struct {
	what string
	err  error
	// refused is empty for what the operator may do.
	refused string
}

func mustBeDecided(t *testing.T, attempts []attempt) {
	t.Helper()
	for _, tt := range attempts {
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
	metav1.SetMetaDataAnnotation(&pod.ObjectMeta, resources.NudgeAnnotation, "x")
}
func setOtherAnnotation(pod *corev1.Pod) {
	metav1.SetMetaDataAnnotation(&pod.ObjectMeta, "e2e", "x")
}
func setFinalizer(pod *corev1.Pod) {
	pod.Finalizers = append(pod.Finalizers, "example.com/e2e")
}
func setMessage(pod *corev1.Pod)  { pod.Status.Message = "all is well" }
func setPodLabel(pod *corev1.Pod) { pod.Labels["e2e"] = "x" }

func setReplicas(set *appsv1.StatefulSet) { *set.Spec.Replicas++ }
func setToken(set *appsv1.StatefulSet) {
	set.Spec.Template.Spec.AutomountServiceAccountToken = ptr.To(true)
}
func setProjected(set *appsv1.StatefulSet) {
	setVolume(set, corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{
		ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"},
	}}}})
}
func setHostPath(set *appsv1.StatefulSet) {
	setVolume(set, corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/etc"}})
}
func setVolume(set *appsv1.StatefulSet, source corev1.VolumeSource) {
	pod := &set.Spec.Template.Spec
	pod.Volumes = append(pod.Volumes, corev1.Volume{Name: "e2e", VolumeSource: source})
}
func setHostPID(set *appsv1.StatefulSet) { set.Spec.Template.Spec.HostPID = true }
func setRoot(set *appsv1.StatefulSet) {
	set.Spec.Template.Spec.Containers[0].SecurityContext.RunAsNonRoot = ptr.To(false)
}
func setPrivileged(set *appsv1.StatefulSet) {
	security := set.Spec.Template.Spec.Containers[0].SecurityContext
	security.Privileged, security.AllowPrivilegeEscalation = ptr.To(true), nil
}

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

// createSecret fills in what the API server asks for of a type before admission sees it.
func (o operator) createSecret(t *testing.T, labels map[string]string, ofType corev1.SecretType) error {
	t.Helper()
	return o.api.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: o.namespace, Name: "e2e-new", Labels: labels,
			Annotations: map[string]string{corev1.ServiceAccountNameKey: "default"},
		},
		Type: ofType,
	})
}

func (o operator) deleteSecret(t *testing.T, name string) error {
	t.Helper()
	return o.api.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: name}})
}

func (o operator) patchWorkload(t *testing.T, alter func(*appsv1.StatefulSet)) error {
	t.Helper()
	var set appsv1.StatefulSet
	o.get(t, relayName, &set)
	before := set.DeepCopy()
	alter(&set)
	return o.api.Patch(t.Context(), &set, client.MergeFrom(before))
}

// patchPod goes through the status subresource, the only right to pods that there is.
func (o operator) patchPod(t *testing.T, name string, alter func(*corev1.Pod)) error {
	t.Helper()
	pod := o.pod(t, name)
	before := pod.DeepCopy()
	alter(pod)
	return o.api.Status().Patch(t.Context(), pod, client.MergeFrom(before))
}
