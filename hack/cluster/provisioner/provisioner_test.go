package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// start runs a provisioner over client, with its volumes in a directory that is
// returned.
func start(t *testing.T, client *fake.Clientset) string {
	t.Helper()
	place := here
	place.dir = t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- newProvisioner(client, place).run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the provisioner ended with %v", err)
		}
	})
	return place.dir
}

// eventually waits until holds does.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestVolumeLivesAsLongAsItsClaim(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset()
	dir := start(t, client)
	volumes := client.CoreV1().PersistentVolumes()
	if _, err := client.CoreV1().PersistentVolumeClaims("mail").Create(t.Context(), claim(nil), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var volume *corev1.PersistentVolume
	eventually(t, "a volume is made", func() (made bool) {
		found, err := volumes.Get(t.Context(), "pvc-7f3c", metav1.GetOptions{})
		volume = found
		return err == nil
	})
	path := filepath.Join(dir, "pvc-7f3c")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("directory of the volume: %v, %v", info, err)
	}
	if err := os.WriteFile(filepath.Join(path, "mail"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}

	if err := client.CoreV1().PersistentVolumeClaims("mail").Delete(t.Context(), "spool-0", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	volume.Status.Phase = corev1.VolumeReleased
	if _, err := volumes.UpdateStatus(t.Context(), volume, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the volume and its directory are removed", func() bool {
		_, err := volumes.Get(t.Context(), "pvc-7f3c", metav1.GetOptions{})
		return apierrors.IsNotFound(err) && !exists(path)
	})
}

func TestReleasedVolumeDeletesNothingButItsOwnDirectory(t *testing.T) {
	t.Parallel()
	elsewhere := filepath.Join(t.TempDir(), "precious")
	if err := os.Mkdir(elsewhere, 0o755); err != nil {
		t.Fatal(err)
	}
	volume, err := here.volume(claim(nil))
	if err != nil {
		t.Fatal(err)
	}
	volume.Spec.Local.Path = elsewhere
	volume.Status.Phase = corev1.VolumeReleased
	client := fake.NewClientset(volume)
	start(t, client)
	eventually(t, "the volume is removed", func() bool {
		_, err := client.CoreV1().PersistentVolumes().Get(t.Context(), volume.Name, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
	if !exists(elsewhere) {
		t.Error("a directory outside was deleted")
	}
}

func TestOneBadClaimDoesNotHinderOthers(t *testing.T) {
	t.Parallel()
	bad := claim(func(c *corev1.PersistentVolumeClaim) {
		c.Name, c.UID = "a-bad-one", "bad"
		c.Spec.Selector = &metav1.LabelSelector{}
	})
	dir := start(t, fake.NewClientset(bad, claim(nil)))
	eventually(t, "the good claim is served", func() bool { return exists(filepath.Join(dir, "pvc-7f3c")) })
	if exists(filepath.Join(dir, "pvc-bad")) {
		t.Error("a directory was made for a claim that was refused")
	}
}

func TestEnsureClass(t *testing.T) {
	t.Parallel()
	theirs := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: here.class}, Provisioner: "example.com/other"}
	for name, tc := range map[string]struct {
		client *fake.Clientset
		says   string
	}{
		"missing":  {fake.NewClientset(), ""},
		"present":  {fake.NewClientset(here.storageClass()), ""},
		"occupied": {fake.NewClientset(theirs), "example.com/other"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := newProvisioner(tc.client, here).ensureClass(t.Context())
			if tc.says == "" && err != nil || tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("error is %v, want one that says %q", err, tc.says)
			}
			if _, err := tc.client.StorageV1().StorageClasses().Get(t.Context(), here.class, metav1.GetOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRunRefusesHalfACommandLine(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		nil,
		{"--kubeconfig", "f", "--dir", "/d"},
		{"--kubeconfig", "f", "--node-name", "n"},
		{"--kubeconfig", "f", "--node-name", "n", "--dir", "relative"},
		{"--kubeconfig", "/nonexistent", "--node-name", "n", "--dir", "/d"},
	} {
		if err := run(t.Context(), args); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}
