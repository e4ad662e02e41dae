package controllers

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// newRelay is a small MailRelay with one upstream that logs in.
func newRelay(namespace string) *v1alpha1.MailRelay {
	return &v1alpha1.MailRelay{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "relay"},
		Spec: v1alpha1.MailRelaySpec{
			Upstreams: []v1alpha1.Upstream{{
				Name: "provider", Host: "smtp.example.net", Port: 465,
				Auth: &v1alpha1.UpstreamAuth{SecretRef: &v1alpha1.LocalSecretReference{Name: "provider"}},
			}},
			Message: v1alpha1.MessagePolicy{SenderDomains: []string{"example.com"}},
		},
	}
}

func providerSecret(namespace string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "provider"},
		Data:       map[string][]byte{"username": []byte("us"), "password": []byte("a password")},
	}
}

func (c *cluster) mustCreate(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		if err := c.Create(t.Context(), object); err != nil {
			t.Fatalf("create %T %s: %v", object, object.GetName(), err)
		}
	}
}

// mustGet reads an object again, and fails the test when it is not there.
func (c *cluster) mustGet(t *testing.T, object client.Object) {
	t.Helper()
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		t.Fatalf("get %T %s: %v", object, object.GetName(), err)
	}
}

// change reads an object, changes it and writes it, again when someone else wrote meanwhile.
func (c *cluster) change(t *testing.T, object client.Object, change func()) {
	t.Helper()
	eventually(t, "change "+object.GetName(), func() error {
		c.mustGet(t, object)
		change()
		return c.Update(t.Context(), object)
	})
}

// changeStatus does the same with its status.
func (c *cluster) changeStatus(t *testing.T, object client.Object, change func()) {
	t.Helper()
	eventually(t, "change status of "+object.GetName(), func() error {
		c.mustGet(t, object)
		change()
		return c.Status().Update(t.Context(), object)
	})
}

// await waits until an object exists.
func (c *cluster) await(t *testing.T, object client.Object) {
	t.Helper()
	eventually(t, fmt.Sprintf("%T %s", object, object.GetName()), func() error {
		return c.Get(t.Context(), client.ObjectKeyFromObject(object), object)
	})
}

// awaitCondition waits until a MailRelay or RelayUser says this of itself, for its present
// generation, and returns the message.
func (c *cluster) awaitCondition(t *testing.T, object client.Object, name string, status metav1.ConditionStatus, reason string) string {
	t.Helper()
	var message string
	eventually(t, fmt.Sprintf("%s %s of %s", name, reason, object.GetName()), func() error {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		conditions := conditionsOf(object)
		condition := meta.FindStatusCondition(conditions, name)
		if condition == nil || condition.Status != status || condition.Reason != reason || condition.ObservedGeneration != object.GetGeneration() {
			return fmt.Errorf("conditions are\n%s", list(conditions))
		}
		message = condition.Message
		return nil
	})
	return message
}

func conditionsOf(object client.Object) []metav1.Condition {
	if relay, ok := object.(*v1alpha1.MailRelay); ok {
		return relay.Status.Conditions
	}
	return object.(*v1alpha1.RelayUser).Status.Conditions
}

func list(conditions []metav1.Condition) string {
	var b strings.Builder
	for _, c := range conditions {
		fmt.Fprintf(&b, "%s=%s %s (%d): %s\n", c.Type, c.Status, c.Reason, c.ObservedGeneration, c.Message)
	}
	return b.String()
}

// runPods does the part of StatefulSet controller, scheduler and kubelet.
func (c *cluster) runPods(t *testing.T, relay *v1alpha1.MailRelay, count int) []*corev1.Pod {
	t.Helper()
	var pods []*corev1.Pod
	for i := range count {
		pod := c.newPod(relay, i)
		c.mustCreate(t, pod, newClaim(relay, i))
		pod.Status = runningStatus(c.fleet.add(client.ObjectKeyFromObject(pod), relay.Name))
		if err := c.Status().Update(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
		pods = append(pods, pod)
	}
	return pods
}

func (c *cluster) newPod(relay *v1alpha1.MailRelay, ordinal int) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: relay.Namespace, Name: fmt.Sprintf("%s-%d", relay.Name, ordinal), Labels: resources.Labels(relay),
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: relay.Name, UID: "set", Controller: ptr(true)}},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: resources.RelayContainer, Image: "relay.test/relay:1"}}},
	}
}

func newClaim(relay *v1alpha1.MailRelay, ordinal int) *corev1.PersistentVolumeClaim {
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
		Namespace: relay.Namespace, Name: fmt.Sprintf("spool-%s-%d", relay.Name, ordinal), Labels: resources.PodSelector(relay),
	}}
	claim.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	claim.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resources.QueueSize(relay)}
	return claim
}

func runningStatus(ip string) corev1.PodStatus {
	return corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: resources.RelayContainer, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		}},
	}
}

// readyRelay makes a relay with all that it needs and waits until it is ready.
func (c *cluster) readyRelay(t *testing.T, namespace string, shape func(*v1alpha1.MailRelay)) (*v1alpha1.MailRelay, []*corev1.Pod) {
	t.Helper()
	relay := newRelay(namespace)
	if shape != nil {
		shape(relay)
	}
	c.mustCreate(t, providerSecret(namespace), relay)
	c.await(t, statefulSetOf(relay))
	pods := c.runPods(t, relay, int(resources.Replicas(relay)))
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionTrue, "Serving")
	return relay, pods
}

// objects are the items of a list, by kind and name.
func objects(l client.ObjectList) map[string]client.Object {
	found := map[string]client.Object{}
	kind := strings.TrimSuffix(reflect.TypeOf(l).Elem().Name(), "List")
	_ = meta.EachListItem(l, func(o runtime.Object) error {
		object := o.(client.Object)
		found[kind+"/"+object.GetName()] = object
		return nil
	})
	return found
}

func keyOf(object client.Object) client.ObjectKey { return client.ObjectKeyFromObject(object) }

func (c *cluster) eventsOf(t *testing.T, namespace string) []eventsv1.Event {
	t.Helper()
	found := &eventsv1.EventList{}
	if err := c.List(t.Context(), found, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	return found.Items
}

// awaitEvent waits for an event of that reason with these words in its note.
func (c *cluster) awaitEvent(t *testing.T, namespace, reason string, words ...string) eventsv1.Event {
	t.Helper()
	var found eventsv1.Event
	eventually(t, "event "+reason, func() error {
		for _, event := range c.eventsOf(t, namespace) {
			if event.Reason != reason {
				continue
			}
			for _, word := range words {
				if !strings.Contains(event.Note, word) {
					return fmt.Errorf("it says %q, without %s", event.Note, word)
				}
			}
			found = event
			return nil
		}
		return errors.New("there is none")
	})
	return found
}
