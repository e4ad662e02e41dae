package main

import (
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

var here = placement{dir: "/var/volumes", node: "node-1", class: "local"}

// claim returns one that waits for a volume from here, after change.
func claim(change func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "mail", Name: "spool-0", UID: "7f3c",
			Annotations: map[string]string{selectedNode: "node-1"},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To("local"),
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			},
		},
	}
	if change != nil {
		change(c)
	}
	return c
}

func TestWantsOnlyClaimsThatWaitForThisNode(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*corev1.PersistentVolumeClaim)
		want   bool
	}{
		"waiting":          {nil, true},
		"no node yet":      {func(c *corev1.PersistentVolumeClaim) { c.Annotations = nil }, false},
		"another node":     {func(c *corev1.PersistentVolumeClaim) { c.Annotations[selectedNode] = "node-2" }, false},
		"another class":    {func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = ptr.To("fast") }, false},
		"class left out":   {func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = nil }, false},
		"has a volume":     {func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "pvc-7f3c" }, false},
		"is being deleted": {func(c *corev1.PersistentVolumeClaim) { c.DeletionTimestamp = &metav1.Time{} }, false},
	} {
		if got := here.wants(claim(tc.change)); got != tc.want {
			t.Errorf("%s: wanted is %v, want %v", name, got, tc.want)
		}
	}
}

func TestVolumeFitsItsClaim(t *testing.T) {
	t.Parallel()
	volume, err := here.volume(claim(nil))
	if err != nil {
		t.Fatal(err)
	}
	spec := volume.Spec
	if volume.Name != "pvc-7f3c" || spec.Local == nil || spec.Local.Path != "/var/volumes/pvc-7f3c" {
		t.Errorf("volume %s lies at %+v", volume.Name, spec.Local)
	}
	if size := spec.Capacity[corev1.ResourceStorage]; size.String() != "1Gi" {
		t.Errorf("capacity is %s", size.String())
	}
	if ref := spec.ClaimRef; ref == nil || ref.Namespace != "mail" || ref.Name != "spool-0" || ref.UID != "7f3c" {
		t.Errorf("bound to %+v", ref)
	}
	term := spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0]
	if term.Key != corev1.LabelHostname || len(term.Values) != 1 || term.Values[0] != "node-1" {
		t.Errorf("affinity is %+v", term)
	}
	if spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete || spec.StorageClassName != "local" {
		t.Errorf("reclaim policy %s of class %s", spec.PersistentVolumeReclaimPolicy, spec.StorageClassName)
	}
}

func TestVolumeRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*corev1.PersistentVolumeClaim)
		says   string
	}{
		"block device":   {func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeMode = ptr.To(corev1.PersistentVolumeBlock) }, "Filesystem"},
		"selector":       {func(c *corev1.PersistentVolumeClaim) { c.Spec.Selector = &metav1.LabelSelector{} }, "selector"},
		"path in the ID": {func(c *corev1.PersistentVolumeClaim) { c.UID = types.UID("x/../../etc") }, "name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := here.volume(claim(tc.change)); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v does not say %q", err, tc.says)
			}
		})
	}
}

func TestPathStaysInsideTheDirectory(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", ".", "..", "/", "a/b", "../a", "a/", "/etc"} {
		if path, err := here.path(name); err == nil {
			t.Errorf("%q became %s", name, path)
		}
	}
}

func FuzzPathIsADirectChild(f *testing.F) {
	for _, seed := range []string{"pvc-1", "..", "a/../b", "a\x00b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if path, err := here.path(name); err == nil && (filepath.Dir(path) != here.dir || path == here.dir) {
			t.Errorf("%q leads to %s", name, path)
		}
	})
}

func TestDiscardedIsOnlyWhatIsOursAndReleased(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*corev1.PersistentVolume)
		want   bool
	}{
		"released":         {func(*corev1.PersistentVolume) {}, true},
		"bound":            {func(v *corev1.PersistentVolume) { v.Status.Phase = corev1.VolumeBound }, false},
		"failed":           {func(v *corev1.PersistentVolume) { v.Status.Phase = corev1.VolumeFailed }, false},
		"of another maker": {func(v *corev1.PersistentVolume) { v.Annotations = nil }, false},
		"of another class": {func(v *corev1.PersistentVolume) { v.Spec.StorageClassName = "fast" }, false},
		"asked to be retained": {func(v *corev1.PersistentVolume) {
			v.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
		}, false},
	} {
		volume, err := here.volume(claim(nil))
		if err != nil {
			t.Fatal(err)
		}
		volume.Status.Phase = corev1.VolumeReleased
		tc.change(volume)
		if got := here.discarded(volume); got != tc.want {
			t.Errorf("%s: discarded is %v, want %v", name, got, tc.want)
		}
	}
}

func TestStorageClassIsTheDefaultAndWaits(t *testing.T) {
	t.Parallel()
	class := here.storageClass()
	if class.Annotations[defaultClass] != "true" || *class.VolumeBindingMode != storagev1.VolumeBindingWaitForFirstConsumer {
		t.Errorf("class is %+v", class)
	}
}
