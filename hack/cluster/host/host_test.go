package host

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestMountsBelow(t *testing.T) {
	t.Parallel()
	mountinfo := strings.Join([]string{
		"21 1 0:20 / /proc rw shared:1 - proc proc rw",
		"30 1 254:0 / /var/lib/c rw - ext4 /dev/vda rw",
		"31 30 0:40 / /var/lib/c/kubelet/a rw - tmpfs tmpfs rw",
		"32 31 0:41 / /var/lib/c/kubelet/a/b\\040c rw - tmpfs tmpfs rw",
		"33 1 0:42 / /var/lib/cluster/x rw - tmpfs tmpfs rw",
		"short line",
	}, "\n")
	got := mountsBelow(mountinfo, "/var/lib/c")
	want := []string{"/var/lib/c/kubelet/a/b c", "/var/lib/c/kubelet/a"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("mountsBelow() = %q, want %q", got, want)
	}
}

func TestMissingPackagesAreNamedInOrder(t *testing.T) {
	t.Parallel()
	needs := map[string]string{"b": "/b", "a": "/a", "c": "/c"}
	got := missingPackages(needs, func(path string) bool { return path == "/c" })
	if want := []string{"a", "b"}; !reflect.DeepEqual(got, want) {
		t.Errorf("missingPackages() = %v, want %v", got, want)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestSysctlsAreRestoredToWhatTheyFirstWere(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := Sysctls{File: filepath.Join(t.TempDir(), "sysctls.json"), root: root}
	overcommit, panics := filepath.Join(root, "vm/overcommit_memory"), filepath.Join(root, "kernel/panic")
	write(t, overcommit, "0\n")
	write(t, panics, "7\n")
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	write(t, overcommit, "1\n")
	// A second save comes after the kubelet's change and must not keep it.
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	if err := s.Restore(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, overcommit); got != "0" {
		t.Errorf("vm.overcommit_memory = %q, want 0", got)
	}
	if got := read(t, panics); got != "7\n" {
		t.Errorf("kernel.panic = %q: it was written without need", got)
	}
}

func TestRestoreWithoutSaveChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := (Sysctls{File: filepath.Join(dir, "sysctls.json"), root: dir}).Restore(); err != nil {
		t.Error(err)
	}
	if err := (Footprint{File: filepath.Join(dir, "footprint.json")}).Erase(); err != nil {
		t.Error(err)
	}
}

func TestAFootprintSparesWhatWasThereBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	theirs, ours := filepath.Join(dir, "theirs"), filepath.Join(dir, "ours")
	write(t, filepath.Join(theirs, "a"), "")
	f := Footprint{File: filepath.Join(dir, "footprint.json")}
	if err := f.Save([]string{theirs, ours}); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(ours, "sub", "b"), "")
	// As after a crash: what is ours is there already.
	if err := f.Save([]string{theirs, ours}); err != nil {
		t.Fatal(err)
	}
	if err := f.Erase(); err != nil {
		t.Fatal(err)
	}
	if exists(ours) {
		t.Error("a directory of the cluster is left")
	}
	if !exists(filepath.Join(theirs, "a")) {
		t.Error("a directory of others is gone")
	}
}

func TestABrokenFileIsNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "broken.json")
	write(t, file, "{")
	for _, err := range []error{Sysctls{File: file}.Restore(), Footprint{File: file}.Erase()} {
		if err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("error = %v, want one that names %s", err, file)
		}
	}
}
