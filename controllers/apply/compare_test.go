package apply

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestCovers(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	type l = []any
	for _, tc := range []struct {
		name       string
		live, want any
		covered    bool
	}{
		{"the same", m{"a": "b"}, m{"a": "b"}, true},
		{"live has more", m{"a": "b", "c": "d"}, m{"a": "b"}, true},
		{"live has less", m{"a": "b"}, m{"a": "b", "c": "d"}, false},
		{"another value", m{"a": "b"}, m{"a": "c"}, false},
		{"numbers of any type", m{"a": int64(1)}, m{"a": float64(1)}, true},
		{"another number", m{"a": int64(1)}, m{"a": int32(2)}, false},
		{"an empty mapping must be there", m{}, m{"selector": m{}}, false},
		{"an empty mapping that is there", m{"selector": m{}}, m{"selector": m{}}, true},
		{"an empty list is like none", m{}, m{"a": l{}}, true},
		{"elements with defaults", m{"a": l{m{"n": "x", "default": "y"}}}, m{"a": l{m{"n": "x"}}}, true},
		{"more elements", m{"a": l{"x", "y"}}, m{"a": l{"x"}}, false},
		{"another order", m{"a": l{"x", "y"}}, m{"a": l{"y", "x"}}, false},
		{"nothing wanted", m{}, m{"a": nil}, true},
	} {
		if got := covers(tc.live, tc.want); got != tc.covered {
			t.Errorf("%s: covers = %v, want %v", tc.name, got, tc.covered)
		}
	}
}

func ownedSecret(fields string, operation metav1.ManagedFieldsOperationType, subresource string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "child", ManagedFields: []metav1.ManagedFieldsEntry{
			{Manager: "kubectl", Operation: metav1.ManagedFieldsOperationUpdate, FieldsV1: metav1.NewFieldsV1(`{"f:data":{"f:theirs":{}}}`)},
			{Manager: FieldOwner, Operation: operation, Subresource: subresource, FieldsV1: metav1.NewFieldsV1(fields)},
		}},
		Data: map[string][]byte{"a": []byte("1"), "b": []byte("2")},
	}
}

func TestUpToDate(t *testing.T) {
	t.Parallel()
	want := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "child"}, "data": map[string]any{"a": "MQ=="},
	}}
	const apply, update = metav1.ManagedFieldsOperationApply, metav1.ManagedFieldsOperationUpdate
	for _, tc := range []struct {
		name string
		live *corev1.Secret
		want bool
	}{
		{"we own what we want", ownedSecret(`{"f:data":{".":{},"f:a":{}}}`, apply, ""), true},
		{"we own a key that we dropped", ownedSecret(`{"f:data":{"f:a":{},"f:b":{}}}`, apply, ""), false},
		{"our fields are still those of an update", ownedSecret(`{"f:data":{"f:a":{}}}`, update, ""), false},
		{"our status is not the object", ownedSecret(`{"f:data":{"f:a":{}}}`, apply, "status"), false},
	} {
		got, err := upToDate(tc.live, want)
		if err != nil || got != tc.want {
			t.Errorf("%s: upToDate = %v, %v; want %v", tc.name, got, err, tc.want)
		}
	}
	if _, err := upToDate(ownedSecret(`no JSON`, apply, ""), want); err == nil {
		t.Error("unreadable managed fields gave no error")
	}
}

func TestOwnsMoreFollowsListElements(t *testing.T) {
	t.Parallel()
	want := map[string]any{
		"ports": []any{map[string]any{"port": int64(465), "protocol": "TCP", "name": "submissions"}},
		"set":   []any{"a", int64(2)},
	}
	for fields, more := range map[string]bool{
		`{"f:ports":{"k:{\"port\":465,\"protocol\":\"TCP\"}":{".":{},"f:name":{},"f:port":{}}}}`: false,
		`{"f:ports":{"k:{\"port\":465,\"protocol\":\"TCP\"}":{"f:nodePort":{}}}}`:                true,
		`{"f:ports":{"k:{\"port\":587,\"protocol\":\"TCP\"}":{}}}`:                               true,
		`{"f:set":{"v:\"a\"":{},"v:2":{}}}`:                                                      false,
		`{"f:set":{"v:\"b\"":{}}}`:                                                               true,
		`{"i:0":{}}`:                                                                             true,
	} {
		secret := ownedSecret(fields, metav1.ManagedFieldsOperationApply, "")
		owned, err := ownedFields(secret)
		if err != nil {
			t.Fatal(err)
		}
		if got := ownsMore(owned, want); got != more {
			t.Errorf("ownsMore(%s) = %v, want %v", fields, got, more)
		}
	}
}
