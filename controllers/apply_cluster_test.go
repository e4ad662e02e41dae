package controllers

import (
	"errors"
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/apply"
)

// owner is any object that exists.
func (c *cluster) owner(t *testing.T, namespace, name string) client.Object {
	t.Helper()
	owner := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	c.mustCreate(t, owner)
	return owner
}

func secretWith(namespace string, keys ...string) *corev1ac.SecretApplyConfiguration {
	secret := corev1ac.Secret("child", namespace).WithLabels(map[string]string{"a": "b"})
	for _, key := range keys {
		secret.WithData(map[string][]byte{key: []byte("value of " + key)})
	}
	return secret
}

func (c *cluster) dataKeys(t *testing.T, namespace string) []string {
	t.Helper()
	secret := secretNamed(namespace, "child")
	c.mustGet(t, secret)
	return slices.Sorted(maps.Keys(secret.Data))
}

// A key that was part of the first Create must go when a later apply leaves it out: it may be
// the verifier of a user who was removed.
func TestKeyLeftOutOfALaterApplyGoes(t *testing.T) {
	c, namespace := onCluster(t)
	applier := &apply.Applier{Client: c, Live: c}
	owner := c.owner(t, namespace, "owner")
	for _, step := range []struct{ apply, want []string }{
		{[]string{"a", "b"}, []string{"a", "b"}},
		{[]string{"b"}, []string{"b"}},
		{[]string{"b", "c"}, []string{"b", "c"}},
		{nil, nil},
	} {
		if _, err := applier.Apply(t.Context(), owner, secretWith(namespace, step.apply...)); err != nil {
			t.Fatal(err)
		}
		if got := c.dataKeys(t, namespace); !slices.Equal(got, step.want) {
			t.Fatalf("after apply of %v the keys are %v", step.apply, got)
		}
	}
}

func TestApplyHealsOurFieldsAndLeavesOthers(t *testing.T) {
	c, namespace := onCluster(t)
	applier := &apply.Applier{Client: c, Live: c}
	owner := c.owner(t, namespace, "owner")
	desired := secretWith(namespace, "a", "b")
	if _, err := applier.Apply(t.Context(), owner, desired); err != nil {
		t.Fatal(err)
	}
	secret := secretNamed(namespace, "child")
	c.change(t, secret, func() {
		secret.Data["a"] = []byte("edited")
		delete(secret.Data, "b")
		secret.Annotations = map[string]string{"theirs": "kept"}
	})
	if _, err := applier.Apply(t.Context(), owner, desired); err != nil {
		t.Fatal(err)
	}
	c.mustGet(t, secret)
	if string(secret.Data["a"]) != "value of a" || string(secret.Data["b"]) != "value of b" || secret.Annotations["theirs"] != "kept" {
		t.Errorf("data %v, annotations %v", secret.Data, secret.Annotations)
	}
	was := secret.ResourceVersion
	live, err := applier.Apply(t.Context(), owner, desired)
	if err != nil || live.GetResourceVersion() != was {
		t.Errorf("an apply of the same wrote: %v, version %s after %s", err, live.GetResourceVersion(), was)
	}
}

// What was read of an object is in what is applied over it: an edit since then must not be lost,
// and what was deleted must not come back.
func TestApplyOverUndoesNothing(t *testing.T) {
	c, namespace := onCluster(t)
	applier := &apply.Applier{Client: c, Live: c}
	owner := c.owner(t, namespace, "owner")
	read, err := applier.Apply(t.Context(), owner, secretWith(namespace, "a"))
	if err != nil {
		t.Fatal(err)
	}
	written, err := applier.ApplyOver(t.Context(), owner, read.DeepCopyObject().(client.Object), secretWith(namespace, "b"))
	if err != nil {
		t.Fatalf("over what is there: %v", err)
	}
	if _, err := applier.ApplyOver(t.Context(), owner, read, secretWith(namespace, "a", "c")); !apierrors.IsConflict(err) {
		t.Errorf("over what was changed: %v", err)
	}
	if got := c.dataKeys(t, namespace); !slices.Equal(got, []string{"b"}) {
		t.Errorf("the keys are %v", got)
	}
	if err := c.Delete(t.Context(), written); err != nil {
		t.Fatal(err)
	}
	if _, err := applier.ApplyOver(t.Context(), owner, written, secretWith(namespace, "c")); !apierrors.IsConflict(err) {
		t.Errorf("over what was deleted: %v", err)
	}
}

func TestApplyNeverSeizes(t *testing.T) {
	c, namespace := onCluster(t)
	applier := &apply.Applier{Client: c, Live: c}
	owner, stranger := c.owner(t, namespace, "owner"), c.owner(t, namespace, "stranger")
	if _, err := applier.Apply(t.Context(), stranger, secretWith(namespace, "theirs")); err != nil {
		t.Fatal(err)
	}
	_, err := applier.Apply(t.Context(), owner, secretWith(namespace, "ours"))
	if notOurs := (*apply.NotOursError)(nil); !errors.As(err, &notOurs) {
		t.Fatalf("Apply = %v, want a NotOursError", err)
	}
	if gone, err := applier.Remove(t.Context(), owner, secretNamed(namespace, "child")); !gone || err != nil {
		t.Errorf("Remove = %v, %v; want it to find nothing of ours", gone, err)
	}
	if got := c.dataKeys(t, namespace); !slices.Equal(got, []string{"theirs"}) {
		t.Errorf("keys are %v", got)
	}
}
