package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// kubeletSysctls are the settings of the whole machine that the kubelet sets to
// its liking when it starts.
var kubeletSysctls = []string{
	"vm/overcommit_memory",
	"vm/panic_on_oom",
	"kernel/panic",
	"kernel/panic_on_oops",
	"kernel/keys/root_maxkeys",
	"kernel/keys/root_maxbytes",
}

// Sysctls keeps kernel settings in a file, to put them back later.
type Sysctls struct {
	// File is where they are kept.
	File string
	// root is /proc/sys, but for tests.
	root string
}

// Save writes down the settings as they are, unless that was done before: what
// is there now may then already be the kubelet's.
func (s Sysctls) Save() error {
	if exists(s.File) {
		return nil
	}
	values := map[string]string{}
	for _, name := range kubeletSysctls {
		value, err := os.ReadFile(s.path(name))
		if err != nil {
			continue // a kernel without the setting
		}
		values[name] = strings.TrimSpace(string(value))
	}
	data, err := json.MarshalIndent(values, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the kernel's settings: %w", err)
	}
	if err := os.WriteFile(s.File, data, 0o644); err != nil {
		return fmt.Errorf("save the kernel's settings: %w", err)
	}
	return nil
}

// Restore puts back what Save wrote down, if it did.
func (s Sysctls) Restore() error {
	data, err := os.ReadFile(s.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the kernel's saved settings: %w", err)
	}
	values := map[string]string{}
	if err := json.Unmarshal(data, &values); err != nil {
		return fmt.Errorf("read the kernel's saved settings in %s: %w", s.File, err)
	}
	for name, value := range values {
		now, err := os.ReadFile(s.path(name))
		if err == nil && strings.TrimSpace(string(now)) == value {
			continue
		}
		if err := os.WriteFile(s.path(name), []byte(value), 0o644); err != nil {
			return fmt.Errorf("restore a kernel setting: %w", err)
		}
	}
	return nil
}

func (s Sysctls) path(name string) string {
	root := s.root
	if root == "" {
		root = "/proc/sys"
	}
	return filepath.Join(root, name)
}
