package host

import (
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
)

// hierarchy makes a directory that looks like a cgroup file system of version 1,
// with these controllers, or of version 2, with none.
func hierarchy(t *testing.T, controllers ...string) Cgroups {
	t.Helper()
	root := t.TempDir()
	write := func(path string) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, controller := range controllers {
		write(filepath.Join(root, controller, "cgroup.procs"))
	}
	if len(controllers) == 0 {
		write(filepath.Join(root, "cgroup.controllers"))
		write(filepath.Join(root, "cgroup.procs"))
	}
	return Cgroups{Name: "node", root: root}
}

func TestCreateMakesAGroupInEveryHierarchyOfVersion1(t *testing.T) {
	t.Parallel()
	c := hierarchy(t, "cpu", "memory", "pids")
	if c.Unified() {
		t.Error("version 1 is taken for version 2")
	}
	if err := c.Create(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"cpu/node", "memory/node", "pids/node", "pids/node/node"} {
		if !exists(filepath.Join(c.root, path)) {
			t.Errorf("no group %s", path)
		}
	}
	if exists(filepath.Join(c.root, "memory/node/node")) {
		t.Error("the node's own processes are limited by a memory group")
	}
}

func TestCreateDelegatesControllersInVersion2(t *testing.T) {
	t.Parallel()
	c := hierarchy(t)
	if !c.Unified() {
		t.Error("version 2 is taken for version 1")
	}
	if err := c.Create(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"cgroup.subtree_control", "node/cgroup.subtree_control"} {
		data, err := os.ReadFile(filepath.Join(c.root, path))
		if err != nil || string(data) != delegated {
			t.Errorf("%s = %q, %v", path, data, err)
		}
	}
}

func TestJoinWritesIntoTheNodesOwnGroup(t *testing.T) {
	t.Parallel()
	for _, controllers := range [][]string{{"cpu", "pids"}, nil} {
		c := hierarchy(t, controllers...)
		if err := c.Create(); err != nil {
			t.Fatal(err)
		}
		const pid = 4711
		if err := c.Join(pid); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(c.node(), "cgroup.procs"))
		if err != nil || string(data) != strconv.Itoa(pid) {
			t.Errorf("cgroup.procs = %q, %v", data, err)
		}
	}
}

func TestProcessesAreFoundInAllGroupsBelow(t *testing.T) {
	t.Parallel()
	c := hierarchy(t, "cpu", "pids")
	for path, pids := range map[string]string{
		"cpu/node/kubepods/a": "12\n", "pids/node/kubepods/a": "12\n13\n", "pids/node/node": "7\n", "pids/other": "99\n",
	} {
		dir := filepath.Join(c.root, path)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(pids), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.processes()
	if want := []int{7, 12, 13}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("processes() = %v, %v, want %v", got, err, want)
	}
}

func TestRemoveRemovesTheGroupAndAllBelow(t *testing.T) {
	t.Parallel()
	c := hierarchy(t, "cpu", "pids")
	for _, path := range []string{"cpu/node/kubepods/a", "pids/node/kubepods/b/c", "pids/other"} {
		if err := os.MkdirAll(filepath.Join(c.root, path), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := c.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	if exists(filepath.Join(c.root, "cpu/node")) || exists(filepath.Join(c.root, "pids/node")) {
		t.Error("a group is left")
	}
	if !exists(filepath.Join(c.root, "pids/other")) {
		t.Error("a group of others is gone")
	}
}

func TestAMachineWithoutControlGroupsIsRefused(t *testing.T) {
	t.Parallel()
	if err := (Cgroups{Name: "node", root: t.TempDir()}).Create(); err == nil {
		t.Error("no error")
	}
}
