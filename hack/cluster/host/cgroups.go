package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Cgroups is one group, and all below it, in every hierarchy of the machine.
type Cgroups struct {
	// Name is the group's path below the root of each hierarchy.
	Name string
	// root is /sys/fs/cgroup, but for tests.
	root string
}

// nodeGroup holds the processes of the node itself. In version 2 a group with
// groups below it may hold none.
const nodeGroup = "node"

// delegated are the controllers that the kubelet wants in version 2.
const delegated = "+cpuset +cpu +io +memory +pids"

// Unified reports whether the machine has version 2 of control groups only.
func (c Cgroups) Unified() bool {
	return exists(filepath.Join(c.base(), "cgroup.controllers"))
}

// Create makes the group where pods will be and the one of the node's own
// processes.
func (c Cgroups) Create() error {
	hierarchies, err := c.hierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range hierarchies {
		if err := os.MkdirAll(filepath.Join(hierarchy, c.Name), 0o755); err != nil {
			return fmt.Errorf("make the control group: %w", err)
		}
	}
	if c.Unified() {
		for _, group := range []string{c.base(), filepath.Join(c.base(), c.Name)} {
			err := os.WriteFile(filepath.Join(group, "cgroup.subtree_control"), []byte(delegated), 0o644)
			if err != nil {
				return fmt.Errorf("delegate controllers to the node: %w", err)
			}
		}
	}
	if err := os.MkdirAll(c.node(), 0o755); err != nil {
		return fmt.Errorf("make the node's control group: %w", err)
	}
	return nil
}

// Join moves a process, and what it will start, into the node's group.
func (c Cgroups) Join(pid int) error {
	err := os.WriteFile(filepath.Join(c.node(), "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644)
	if err != nil {
		return fmt.Errorf("move process %d into the node's control group: %w", pid, err)
	}
	return nil
}

// Kill ends every process of the group, pods included. Being in the group is
// proof enough that it is the cluster's: nothing else is ever put there.
func (c Cgroups) Kill() error {
	const patience = 10 * time.Second
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		pids, err := c.processes()
		if err != nil || len(pids) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v of control group %s do not end, even when killed", pids, c.Name)
		}
		for _, pid := range pids {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("kill process %d: %w", pid, err)
			}
		}
	}
}

// Remove removes the empty groups, the deepest first.
func (c Cgroups) Remove() error {
	groups, err := c.groups()
	if err != nil {
		return err
	}
	slices.SortFunc(groups, func(a, b string) int { return strings.Compare(b, a) })
	for _, group := range groups {
		if err := removeGroup(group); err != nil {
			return err
		}
	}
	return nil
}

// removeGroup waits a little: a group stays busy until its dead are buried.
func removeGroup(path string) error {
	const patience = 5 * time.Second
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := unix.Rmdir(path)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return fmt.Errorf("remove control group %s: %w", path, err)
		}
	}
}

// processes lists the numbers of all living processes in the groups.
func (c Cgroups) processes() ([]int, error) {
	groups, err := c.groups()
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, group := range groups {
		data, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list the processes of a control group: %w", err)
		}
		for _, field := range strings.Fields(string(data)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// groups lists the group and all below it, in every hierarchy.
func (c Cgroups) groups() ([]string, error) {
	hierarchies, err := c.hierarchies()
	if err != nil {
		return nil, err
	}
	var groups []string
	for _, hierarchy := range hierarchies {
		err := filepath.WalkDir(filepath.Join(hierarchy, c.Name), func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && entry.IsDir() {
				groups = append(groups, path)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("list the control groups: %w", err)
		}
	}
	return groups, nil
}

// hierarchies lists the mounted hierarchies: one in version 2, in version 1 one
// for each controller, some of them by several names.
func (c Cgroups) hierarchies() ([]string, error) {
	if c.Unified() {
		return []string{c.base()}, nil
	}
	entries, err := os.ReadDir(c.base())
	if err != nil {
		return nil, fmt.Errorf("list the cgroup hierarchies: %w", err)
	}
	var hierarchies []string
	for _, entry := range entries {
		path := filepath.Join(c.base(), entry.Name())
		if entry.IsDir() && exists(filepath.Join(path, "cgroup.procs")) {
			hierarchies = append(hierarchies, path)
		}
	}
	if len(hierarchies) == 0 {
		return nil, fmt.Errorf("%s holds no control groups; mount them first", c.base())
	}
	return hierarchies, nil
}

// node is where the node's own processes are. In version 1 the hierarchy "pids"
// is enough to find them by.
func (c Cgroups) node() string {
	if c.Unified() {
		return filepath.Join(c.base(), c.Name, nodeGroup)
	}
	return filepath.Join(c.base(), "pids", c.Name, nodeGroup)
}

func (c Cgroups) base() string {
	if c.root != "" {
		return c.root
	}
	return "/sys/fs/cgroup"
}
