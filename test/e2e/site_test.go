//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// site is a namespace of one test. Pod Security "restricted" is enforced in it.
type site struct {
	*cluster
	namespace string
}

// newSite makes a namespace that ends with the test. What went on in it is written down
// before, when the test has failed.
func newSite(t *testing.T, purpose string) *site {
	t.Helper()
	s := &site{cluster: &shared, namespace: "e2e-" + purpose + "-" + strings.ToLower(rand.Text()[:5])}
	s.create(t, namespaceNamed(s.namespace))
	t.Cleanup(func() {
		if t.Failed() {
			s.writeDown(t)
		}
		s.keep(s.namespace)
		if err := s.Delete(context.Background(), namespaceNamed(s.namespace)); err != nil {
			t.Errorf("deleting the namespace: %v", err)
		}
	})
	return s
}

// writeDown leaves the state of the namespace in a file of its own.
func (s *site) writeDown(t *testing.T) {
	if err := os.MkdirAll(s.logs, 0o755); err != nil {
		t.Log(err)
		return
	}
	name := s.logs + "/" + s.namespace + ".txt"
	if err := os.WriteFile(name, []byte(describe(s.cluster, s.namespace)), 0o644); err != nil {
		t.Log(err)
		return
	}
	t.Logf("what went on in namespace %s is in %s", s.namespace, name)
}

// create makes objects in the namespace, unless they name another.
func (s *site) create(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		if _, cluster := object.(*corev1.Namespace); !cluster && object.GetNamespace() == "" {
			object.SetNamespace(s.namespace)
		}
		if err := s.Create(t.Context(), object); err != nil {
			t.Fatalf("creating %T %s: %v", object, object.GetName(), err)
		}
	}
}

// get reads an object of the namespace.
func (s *site) get(t *testing.T, name string, into client.Object) {
	t.Helper()
	if err := s.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: name}, into); err != nil {
		t.Fatalf("reading %T %s: %v", into, name, err)
	}
}

// change alters an object as often as it takes to be the one who wrote last.
func (s *site) change(t *testing.T, name string, object client.Object, alter func(), as ...client.UpdateOption) {
	t.Helper()
	waitFor(t, 10*time.Second, "change of "+name, func(ctx context.Context) (bool, string) {
		if err := s.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, object); err != nil {
			return false, err.Error()
		}
		alter()
		err := s.Update(ctx, object, as...)
		if err != nil && !apierrors.IsConflict(err) {
			t.Fatalf("changing %T %s: %v", object, name, err)
		}
		return err == nil, fmt.Sprint(err)
	})
}

// secret makes a Secret.
func (s *site) secret(t *testing.T, name string, data map[string][]byte) {
	t.Helper()
	s.create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data})
}
