package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

const (
	// provisionerName marks the class and the volumes that are ours.
	provisionerName = "mailrelay.dev/local"

	selectedNode  = "volume.kubernetes.io/selected-node"
	provisionedBy = "pv.kubernetes.io/provisioned-by"
	defaultClass  = "storageclass.kubernetes.io/is-default-class"
)

// placement is where volumes lie and whom they are for.
type placement struct{ dir, node, class string }

// storageClass returns the class to create. Volumes wait for the first pod, as
// they do on clusters with more than one node.
func (p placement) storageClass() *storagev1.StorageClass {
	return &storagev1.StorageClass{
		ObjectMeta:        metav1.ObjectMeta{Name: p.class, Annotations: map[string]string{defaultClass: "true"}},
		Provisioner:       provisionerName,
		ReclaimPolicy:     ptr.To(corev1.PersistentVolumeReclaimDelete),
		VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer),
	}
}

// wants tells whether claim waits for a volume from here: the scheduler has
// chosen this node for its pod.
func (p placement) wants(claim *corev1.PersistentVolumeClaim) bool {
	return claim.DeletionTimestamp == nil &&
		claim.Spec.VolumeName == "" &&
		ptr.Deref(claim.Spec.StorageClassName, "") == p.class &&
		claim.Annotations[selectedNode] == p.node
}

// volume returns the volume for claim, bound to it beforehand. It is an error if
// claim asks for what a directory cannot be.
func (p placement) volume(claim *corev1.PersistentVolumeClaim) (*corev1.PersistentVolume, error) {
	if ptr.Deref(claim.Spec.VolumeMode, corev1.PersistentVolumeFilesystem) != corev1.PersistentVolumeFilesystem {
		return nil, errors.New("a directory is no block device; ask for volumeMode Filesystem")
	}
	if claim.Spec.Selector != nil {
		return nil, errors.New("new volumes have no labels to select; leave spec.selector out")
	}
	name := "pvc-" + string(claim.UID)
	path, err := p.path(name)
	if err != nil {
		return nil, err
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{provisionedBy: provisionerName}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			AccessModes:                   claim.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			StorageClassName:              p.class,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}},
			NodeAffinity:                  &corev1.VolumeNodeAffinity{Required: p.onNode()},
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
		},
	}, nil
}

func (p placement) onNode() *corev1.NodeSelector {
	return &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchExpressions: []corev1.NodeSelectorRequirement{{
			Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{p.node},
		}},
	}}}
}

// discarded tells whether volume is ours and its claim is gone for good.
func (p placement) discarded(volume *corev1.PersistentVolume) bool {
	return volume.Annotations[provisionedBy] == provisionerName &&
		volume.Spec.StorageClassName == p.class &&
		volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete &&
		volume.Status.Phase == corev1.VolumeReleased
}

// path returns the directory of the volume called name. Only the name decides:
// the path in a volume can be anything, and what lies there is deleted.
func (p placement) path(name string) (string, error) {
	if name == "" || name == "." || name == ".." || strings.ContainsRune(name, filepath.Separator) {
		return "", fmt.Errorf("%q is not the name of a directory of its own", name)
	}
	return filepath.Join(p.dir, name), nil
}
