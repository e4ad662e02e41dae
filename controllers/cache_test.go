package controllers

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// The operator's memory must not grow with what others write on their Secrets.
func TestStripMetadataKeepsOnlyWhatIsUsed(t *testing.T) {
	t.Parallel()
	now := metav1.Now()
	full := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "theirs", UID: "1", ResourceVersion: "2", Labels: map[string]string{"a": "b"}, DeletionTimestamp: &now,
		Annotations:   map[string]string{"big": "x"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "x"}}, OwnerReferences: []metav1.OwnerReference{{Name: "x"}},
	}}
	stripped, err := stripMetadata(full)
	if err != nil {
		t.Fatal(err)
	}
	got := stripped.(*metav1.PartialObjectMetadata)
	if got.Name != "theirs" || got.Namespace != "shop" || got.UID != "1" || got.ResourceVersion != "2" || got.Labels["a"] != "b" || got.DeletionTimestamp == nil {
		t.Errorf("it lost what identifies it: %+v", got)
	}
	if got.Annotations != nil || got.ManagedFields != nil || got.OwnerReferences != nil {
		t.Errorf("it kept more: %+v", got)
	}
	tombstone := cache.DeletedFinalStateUnknown{Key: "shop/theirs"}
	if same, err := stripMetadata(tombstone); err != nil || same != tombstone {
		t.Errorf("a tombstone became %v, %v", same, err)
	}
}
